"""What the loop knows of a platform that it pulls from: how to ask, how often, and what can go wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from receiver.pull.settings import PullSettings
from receiver.report import ProviderName


@dataclass(frozen=True, slots=True)
class PulledAnswer:
    """One answer, byte for byte, and how many reports or replies are in it."""

    body: bytes
    count: int


class PullFailed(Exception):  # noqa: N818 - the name says it
    """A call brought nothing.

    `code` is the platform's word for it and `advice` what a person can do. `doubt`: the platform may have handed
    something out all the same, because the answer got lost on its way. `lasting`: it will say the same again until
    somebody has done something, so there is no use in asking again soon.
    """

    def __init__(
        self, code: str, advice: str, *, detail: str | None = None, doubt: bool = False, lasting: bool = False
    ) -> None:
        super().__init__(f"{code}: {advice}")
        self.code = code
        self.advice = advice
        self.detail = detail
        self.doubt = doubt
        self.lasting = lasting


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One queue of a platform's. `path` is under which what it hands out is kept (`receiver.providers.SOURCES`).

    `fetch` blocks, and ends by itself; it asks for `limit` items at most. Seconds: `gap_s` lie between any two calls,
    `interval_s` between two when there was no more to fetch; a call of more than `timeout_s` is logged.
    """

    path: str
    limit: int
    gap_s: float
    interval_s: float
    timeout_s: float
    fetch: Callable[[], PulledAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A question about one number (E.164) and a span of time, which the platform answers as often as it is asked."""

    path: str
    limit: int
    gap_s: float
    timeout_s: float
    fetch: Callable[[str, datetime, datetime], PulledAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A platform with its settings read."""

    sources: tuple[Source, ...]
    lookups: tuple[Lookup, ...]
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """`open` reads the settings: None where `switch`, one of them, is not set. Raises SettingsError."""

    name: ProviderName
    settings: type[PullSettings]
    switch: str
    open: Callable[[], Opened | None]
