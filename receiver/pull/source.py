"""The interface of a platform to the pull loop: its calls, their rates, and their errors."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from receiver.pull.settings import PullSettings
from receiver.report import ProviderName


@dataclass(frozen=True, slots=True)
class PulledAnswer:
    """One answer, byte for byte, and its number of reports or replies."""

    body: bytes
    count: int


class PullFailed(Exception):
    """A call failed.

    `code` is the platform's, `advice` is for the operator. `doubt`: the platform may have served reports in an answer
    that was lost. `permanent`: the call will fail again until the operator changes something.
    """

    def __init__(
        self, code: str, advice: str, *, detail: str | None = None, doubt: bool = False, permanent: bool = False
    ) -> None:
        super().__init__(f"{code}: {advice}")
        self.code = code
        self.advice = advice
        self.detail = detail
        self.doubt = doubt
        self.permanent = permanent


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One queue of a platform. Its answers are kept under `path` (`receiver.providers.SOURCES`).

    `fetch` blocks, ends by itself, and asks for at most `limit` items. In seconds: `gap_s` between any two calls,
    `interval_s` after an answer that was not full; a call of more than `timeout_s` is logged.
    """

    path: str
    limit: int
    gap_s: float
    interval_s: float
    timeout_s: float
    fetch: Callable[[], PulledAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A query for one number (E.164) and a span of time, which the platform answers any number of times."""

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
    """`open` reads the settings; None if `switch`, one of them, is not set. Raises SettingsError."""

    name: ProviderName
    settings: type[PullSettings]
    switch: str
    open: Callable[[], Opened | None]
