"""The contract of a provider's adapter: bytes in, reports or an error out, and the answer in the provider's format."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from receiver.report import DeliveryReport, ProviderName, Reply, Submission


class Verdict(StrEnum):
    """The outcome of a callback, which decides the answer."""

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


NOTHING: Final[Mapping[str, object]] = MappingProxyType({})


class Parsed(NamedTuple):
    """The result of parsing one body.

    The items may be built lazily, while they are iterated once, so that a large batch can yield to other callbacks.
    `faults` has one sentence for each item that could not be parsed, complete once the items are read; with faults the
    body is also kept as rejected. `expected_path` is the right path of a body that was sent to another.
    `answer_context` has the fields of the request that the answer repeats.
    """

    reports: Iterable[DeliveryReport] = ()
    replies: Iterable[Reply] = ()
    submissions: Iterable[Submission] = ()
    faults: Sequence[str] = ()
    expected_path: str | None = None
    answer_context: Mapping[str, object] = NOTHING


class SignatureError(Exception):
    """A push is not proven to come from its platform. The text gives the reason for the log, and quotes no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHead:
    """The part of a request before its body, as the platform sent it: nothing is decoded, sorted or merged.

    `raw_path` ends before the `?` and `raw_query` begins after it; `public_url` is the whole URL. If the operator has
    set the public URL, path and `Host` are those from before the proxy. Texts are the wire's bytes as UTF-8 with
    surrogateescape, as in aiohttp. The repr shows the method alone: the path may end in a callback token.
    """

    method: str
    raw_path: str = field(repr=False)
    raw_query: str = field(default="", repr=False)
    headers: Sequence[tuple[str, str]] = field(repr=False)
    public_url: str = field(default="", repr=False)


CheckBody = Callable[[bytes], None]
"""Raises SignatureError unless this is the signed body."""

Verify = Callable[[SignedHead, Mapping[str, str], datetime], CheckBody]
"""(head, secrets by access key, now) → the check of the body. Raises SignatureError if the head alone is wrong."""


class Request(NamedTuple):
    """The part of a request that an adapter may see. All of it is stored with the body, so a replay sees the same.

    `path` is the endpoint's. `query` is the part after the `?`, percent-encoded ASCII; empty unless the endpoint reads
    it.
    """

    path: str
    body: bytes
    query: str = ""
    content_type: str | None = None

    def __repr__(self) -> str:
        """The path alone: body and query may hold a number or a text."""
        return f"Request(path={self.path!r})"


Parse = Callable[[Request], Parsed]
"""Raises PayloadError if nothing of the body can be parsed."""

Answer = Callable[[Verdict, str, Mapping[str, object]], bytes]
"""(verdict, description, answer_context) → the body of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One callback URL: `path` is the part after `/callback/`. Pulled answers have endpoints of this form too.

    If it `reads_query`, the URL's query is stored with the body and passed to `parse`. `media_type` is the answer's.
    """

    provider: ProviderName
    path: str
    parse: Parse
    answer: Answer
    media_type: str = "application/json; charset=utf-8"
    reads_query: bool = False


def endpoints(provider: ProviderName, paths: Iterable[str], parse: Parse, answer: Answer) -> tuple[Endpoint, ...]:
    """Endpoints of several URLs with one parser for all their bodies."""
    return tuple(Endpoint(provider=provider, path=path, parse=parse, answer=answer) for path in paths)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Addresses and networks that a platform pushes from; `complete`: it documents them all."""

    networks: tuple[str, ...]
    complete: bool


class Registration(NamedTuple):
    """For people: the kind of callback that a URL is for, and the place where the platform is told the URL."""

    takes: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One SMS platform.

    Its reports arrive within `reporting_window_h` hours; the default of three days is for platforms that do not
    document it. The rest is optional: `submissions` parses the answers of its send API, `verify` checks the signature
    of a push (its head, then its body), and `origin` is its preset for allow lists. `example` is a body that a person
    sends to the first endpoint to try it, within apostrophes: it has none. `registrations` are by the endpoints' paths.
    """

    name: ProviderName
    title: str
    endpoints: tuple[Endpoint, ...]
    reporting_window_h: int = 72
    submissions: Parse | None = None
    verify: Verify | None = None
    origin: Origin | None = None
    example: str = ""
    registrations: Mapping[str, Registration] = field(default_factory=dict)
