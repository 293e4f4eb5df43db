"""Sends one believable report to the service's own callback listener, over HTTP, as a platform would.

The address is the listener's own and never from a request; no redirect is followed.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp

from receiver.pages.site import Site
from receiver.providers import url_path

if TYPE_CHECKING:
    from receiver.simulate.dialects.base import Push

TOKEN: Final = "<token>"  # noqa: S105 - it stands where one would
"""Shown in the place of a callback token."""

_DEADLINE_S: Final = 10.0
_PAUSE_S: Final = 2.0
_MOST_READ: Final = 8_192
_HIDDEN: Final = frozenset(("authorization",))


class TooSoon(Exception):
    """Another one is under way, or was just sent."""


class Sent(NamedTuple):
    """The request and its answer; without an answer `status` is None and `problem` gives the reason.

    Token and signature are left out of the target and the headers.
    """

    provider: str
    target: str
    headers: Mapping[str, str]
    body: str
    message_id: str
    took_s: float
    status: int | None = None
    answer: str = ""
    problem: str = ""


@dataclass(slots=True)
class Sender:
    """One at a time, with a pause between."""

    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _free_at: float = 0.0

    async def send(self, site: Site, provider: str) -> Sent:
        """Raises TooSoon."""
        clock = asyncio.get_running_loop().time
        if self._lock.locked() or clock() < self._free_at:
            raise TooSoon
        async with self._lock:
            try:
                return await _sent(site, provider)
            finally:
                self._free_at = clock() + _PAUSE_S


def can_send(provider: str) -> bool:
    """Whether the simulator can play this platform."""
    from receiver.simulate import single  # noqa: PLC0415 - test equipment: a service without a test send never loads it

    return single.can_play(provider)


async def _sent(site: Site, provider: str) -> Sent:
    from receiver.simulate import single  # noqa: PLC0415 - as above

    push = single.delivered(provider)
    path = url_path(push.path)
    token = next((token.get_secret_value() for token in site.settings.callback_tokens), None)
    whole = f"{path}/{token}" if token else path
    headers = {**push.headers, "Content-Type": push.content_type}
    if pairs := site.settings.secrets_by_access(provider):
        access, secret = next(iter(pairs.items()))
        headers |= single.signed(
            provider, push, (site.settings.public_url or site.callbacks or "") + whole, access, secret
        )
    began = asyncio.get_running_loop().time()
    status, answer, problem = await _post(f"{site.callbacks}{whole}", push, headers)
    return Sent(
        provider=provider,
        target=f"{path}/{TOKEN}" if token else path,
        headers={name: "…" if name.lower() in _HIDDEN else value for name, value in headers.items()},
        body=push.body.decode(errors="replace"),
        message_id=push.message_ids[0],
        took_s=asyncio.get_running_loop().time() - began,
        status=status,
        answer=answer,
        problem=problem,
    )


async def _post(url: str, push: "Push", headers: Mapping[str, str]) -> tuple[int | None, str, str]:
    """Status, answer and problem."""
    timeout = aiohttp.ClientTimeout(total=_DEADLINE_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
            # The certificate is for the public name, and this is our own listener on this machine.
            session.post(url, data=push.body, headers=headers, allow_redirects=False, ssl=False) as response,
        ):
            answer = await response.content.read(_MOST_READ)
            return response.status, answer.decode(errors="replace"), ""
    except TimeoutError:
        return None, "", f"there was no answer within {_DEADLINE_S:g} s"
    except (aiohttp.ClientError, OSError) as error:
        return None, "", f"the callback listener cannot be reached from here ({type(error).__name__})"
