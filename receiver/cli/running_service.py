"""Queries a running service by its ops listener, for data that cannot be read from the disk meanwhile."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

import aiohttp

from receiver.addresses import url_of
from receiver.errors import OperatorError
from receiver.settings import Settings, variable

_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=30)

_ADVICE: Final = {
    401: f"wants its token: set {variable('ops_token')} as the service has it",
    403: f"does not answer to this name: set {variable('ops_host')} as the service has it",
    404: f"is no ops listener of ours: set {variable('ops_host')} and {variable('ops_port')} as the service has them",
}


class NoAnswer(OperatorError):
    """The running service cannot be reached, or does not answer. `is_refusal`: to ask again would change nothing."""

    def __init__(self, text: str, *, is_refusal: bool = False) -> None:
        super().__init__(text)
        self.is_refusal = is_refusal


@asynccontextmanager
async def ops_response(
    settings: Settings, path: str, url: str | None = None, *, accepted: Collection[int] = ()
) -> AsyncIterator[aiohttp.ClientResponse]:
    """A successful response to a GET of `path`, at the `url` of another ops listener than the settings' if given.

    `accepted` are statuses that are taken for a success too. Raises NoAnswer, from within the block too.
    """
    advice = f"start `receiver serve`, or set {variable('ops_host')} and {variable('ops_port')} as it has them"
    where = f"no service on {variable('data_dir')}={settings.data_dir} answers at"
    if url is not None:
        url, where, advice = url.rstrip("/"), "no service answers at", "give the address of an ops listener"
    elif settings.ops_port == 0:
        raise NoAnswer(f"{variable('ops_port')}=0: set it to the port that the running service says in its log")
    else:
        url = url_of(settings.ops_host, settings.ops_port)
    token = settings.ops_token.get_secret_value() if settings.ops_token else None
    headers = {"Authorization": f"Bearer {token}"} if token else None
    try:
        async with (
            aiohttp.ClientSession(headers=headers, timeout=_TIMEOUT) as client,
            client.get(url + path) as response,
        ):
            if not response.ok and response.status not in accepted:
                why = _ADVICE.get(response.status) or await _said(response)
                raise NoAnswer(f"{url} {why}", is_refusal=response.status < HTTPStatus.INTERNAL_SERVER_ERROR)
            yield response
    except aiohttp.ContentTypeError as error:
        raise NoAnswer(f"{url} {_ADVICE[404]}") from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise NoAnswer(f"{where} {url}: {advice}") from error


async def _said(response: aiohttp.ClientResponse) -> str:
    """The answer's own error, which is JSON with a sentence."""
    if response.content_type == "application/json":
        answer = await response.json()
        if isinstance(answer, dict) and isinstance(answer.get("error"), str):
            return f"answers {response.status}: {answer['error']}"
    return f"answers {response.status}"
