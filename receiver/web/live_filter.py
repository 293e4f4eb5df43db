"""Which of the kept rows somebody wants to see, as a URL's query names them."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from receiver.ingest.recent import Event
from receiver.providers import PROVIDERS
from receiver.providers.payload import MAX_TEXT
from receiver.report import Reason, Status

NAMES: Final = ("provider", "status", "reason", "country", "code")
"""Parameters of the query, and fields of an event. One that stands several times takes any of its values."""

CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "provider": tuple(provider.name for provider in PROVIDERS),
    "status": tuple(status.value for status in Status),
    "reason": tuple(reason.value for reason in Reason),
}

MOST_LAST: Final = 200
LAST: Final = "last"
"""Parameter: how many of the rows that were kept before are shown first, at most MOST_LAST."""

_COUNTRY: Final = re.compile(r"[A-Za-z]{2}")


class WrongFilter(ValueError):
    """A sentence on the parameter that is not understood."""


@dataclass(frozen=True, slots=True)
class Filter:
    """The accepted values of each named field; hashable, as those that watch the same are served together."""

    wanted: tuple[tuple[str, frozenset[str]], ...] = ()

    def takes(self, event: Event) -> bool:
        """Whether the event has one of the values in every named field."""
        return all(getattr(event, name) in values for name, values in self.wanted)

    def __bool__(self) -> bool:
        return bool(self.wanted)


def parse(query: Iterable[tuple[str, str]]) -> tuple[Filter, int]:
    """The filter, and how many rows come first. An empty value counts as none. Raises WrongFilter."""
    wanted: dict[str, set[str]] = {}
    last = 0
    for name, value in query:
        if name == LAST:
            last = _number(value)
        elif name not in NAMES:
            raise WrongFilter(f"{name[:MAX_TEXT]!r} is no filter: there are {', '.join(NAMES)}, and {LAST}")
        elif value:
            wanted.setdefault(name, set()).add(_VALUES.get(name, _choice)(name, value))
    return Filter(tuple((name, frozenset(values)) for name, values in sorted(wanted.items()))), last


def _choice(name: str, value: str) -> str:
    if value not in CHOICES[name]:
        raise WrongFilter(f"{name}={value[:MAX_TEXT]!r} is none of {', '.join(CHOICES[name])}")
    return value


def _country(name: str, value: str) -> str:
    if not _COUNTRY.fullmatch(value):
        raise WrongFilter(f"{name}={value[:MAX_TEXT]!r} is no country: it takes two letters (ISO 3166), as CN")
    return value.upper()


def _code(name: str, value: str) -> str:
    if len(value) > MAX_TEXT:
        raise WrongFilter(f"{name}: no code is longer than {MAX_TEXT} characters")
    return value


_VALUES: Final[Mapping[str, Callable[[str, str], str]]] = {"country": _country, "code": _code}


def _number(value: str) -> int:
    if value.isascii() and value.isdigit() and len(value) <= len(str(MOST_LAST)) and int(value) <= MOST_LAST:
        return int(value)
    raise WrongFilter(f"{LAST}={value[:MAX_TEXT]!r} is no number from 0 to {MOST_LAST}")
