"""What a provider's adapter promises: bytes in, reports or an error out, and the answer in the provider's own shape."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from receiver.report import DeliveryReport, ProviderName, Reply, Submission


class Verdict(StrEnum):
    """How a callback ended."""

    GOOD = "good"
    NOT_UNDERSTOOD = "not_understood"
    NOT_SIGNED = "not_signed"
    NOT_ALLOWED = "not_allowed"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    COMPRESSED = "compressed"
    BUSY = "busy"


HTTP_STATUS: Final[dict[Verdict, int]] = {
    Verdict.GOOD: 200,
    Verdict.NOT_UNDERSTOOD: 400,
    Verdict.NOT_SIGNED: 401,
    Verdict.NOT_ALLOWED: 403,
    Verdict.NOT_FOUND: 404,
    Verdict.METHOD_NOT_ALLOWED: 405,
    Verdict.TOO_SLOW: 408,
    Verdict.TOO_LARGE: 413,
    Verdict.COMPRESSED: 415,
    Verdict.BUSY: 503,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What an adapter made of one body.

    The items of a batch may be built while they are read, once: a large one is worked on with breaks for others.
    `faults` says why something in it was not understood, one sentence an item, as far as the items are read; the body
    is then kept as rejected. `expected_path` is the path that this body belongs to when it came to the wrong one.
    `answer_context` is what the answer repeats of the request.
    """

    reports: Iterable[DeliveryReport] = ()
    replies: Iterable[Reply] = ()
    submissions: Iterable[Submission] = ()
    faults: list[str] = field(default_factory=list)
    expected_path: str | None = None
    answer_context: Mapping[str, object] = field(default_factory=dict)


class SignatureError(Exception):
    """A push that is not proven to come from its platform. The text says why, for the log, and quotes no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHead:
    """The part of a request before its body, as the platform sent it: nothing is decoded, sorted or merged.

    `raw_path` ends before the `?` and `raw_query` begins after it; `public_url` is the whole URL. Where the operator
    has named the public URL, path and `Host` are those from before the proxy. Texts are the wire's bytes as UTF-8 with
    surrogateescape, as aiohttp has them. The repr has nothing of it: the path may end in a callback token.
    """

    method: str
    raw_path: str = field(repr=False)
    raw_query: str = field(default="", repr=False)
    headers: Sequence[tuple[str, str]] = field(repr=False)
    public_url: str = field(default="", repr=False)


CheckBody = Callable[[bytes], None]
"""Raises SignatureError unless this is the body that was signed."""

Verify = Callable[[SignedHead, Mapping[str, str], datetime], CheckBody]
"""(head, secrets by access key, now): what the body must pass. Raises SignatureError where no body can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The part of a request that an adapter may see. All of it is kept with the body, so a replay sees the same.

    `path` is the endpoint's. `query` is what follows the `?`, still percent-encoded and in ASCII, and empty unless the
    endpoint reads it.
    """

    path: str
    body: bytes = field(repr=False)
    query: str = field(default="", repr=False)
    content_type: str | None = None


Parse = Callable[[Request], Parsed]
"""Raises PayloadError where nothing of the body can be understood."""

Answer = Callable[[Verdict, str, Mapping[str, object]], bytes]
"""(verdict, description, answer_context) to the body of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One callback URL: `path` is what follows `/callback/`; or what is handed over elsewhere, named alike.

    Of one that `reads_query`, the URL's query is kept with the body and given to `parse`. `media_type` is the answer's.
    """

    provider: ProviderName
    path: str
    parse: Parse
    answer: Answer
    media_type: str = "application/json; charset=utf-8"
    reads_query: bool = False


def endpoints(provider: ProviderName, paths: Iterable[str], parse: Parse, answer: Answer) -> tuple[Endpoint, ...]:
    """Several URLs whose bodies one function understands, whichever it comes to."""
    return tuple(Endpoint(provider=provider, path=path, parse=parse, answer=answer) for path in paths)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whence a platform pushes: addresses and networks as it names them, and whether it has named them all."""

    networks: tuple[str, ...]
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One SMS platform.

    After `reporting_window_h` hours it reports no more; three days, as long as most keep a message, where it does not
    say. The rest is more than the least: `submissions` parses what its send API answered, `verify` checks the signature
    of a push (its head, then its body), and `origin` is the preset of its name for the list of who may call.
    """

    name: ProviderName
    title: str
    endpoints: tuple[Endpoint, ...]
    reporting_window_h: int = 72
    submissions: Parse | None = None
    verify: Verify | None = None
    origin: Origin | None = None
