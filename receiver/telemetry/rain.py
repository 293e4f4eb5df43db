"""What a second of many reports comes to, as one line: `412 reports: 390 delivered, 22 rejected · 3 duplicates`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from receiver.telemetry.short_line import COLOURS, DIM, YELLOW, Cell, clock, coloured, columns

_PLURALS: Final = {"report": "reports", "reply": "replies", "submission": "submissions"}

_SHOWN: Final = (8, 4, 3, 2, 1)
"""So many statuses are named, the rest are counted as others: the first number that fits the line."""

_ENOUGH: Final = 3
"""Rather than fewer statuses, a second line has what is not about them."""

_APART: Final = ("·", DIM)


def is_row(event: Mapping[str, object]) -> bool:
    """Whether it is about one report, reply or submission, of which there can be thousands in a second."""
    kind, _, end = str(event.get("event", "")).partition(".")
    return kind in _PLURALS and end in ("stored", "duplicate", "spooled") and "logger" not in event


@dataclass(slots=True)
class Tally:
    """Counts of lines that are not shown. Each one is in `kinds`, and each report in `statuses` and in `platforms`."""

    kinds: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    """`duplicate`: known already; `spooled`: on the local disk until PostgreSQL takes it."""
    statuses: Counter[str] = field(default_factory=Counter)
    platforms: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """Number of lines that are counted."""
        return self.kinds.total()

    def add(self, event: str, status: str, platform: str) -> None:
        """Count one line; `event` is one that `is_row` accepts."""
        kind, _, end = event.partition(".")
        self.kinds[kind] += 1
        if end != "stored":
            self.ends[end] += 1
        if kind == "report":
            self.statuses[status] += 1
            self.platforms[platform] += 1

    def line(self, timestamp: str, *, width: int, colours: bool, worker: int | None = None, more: bool = False) -> str:
        """The summary, in at most `width` columns; two lines where much has happened, and the terminal is narrow.

        `more`: some lines of the same second were shown before it.
        """
        begin: list[Cell] = [(f"{clock(timestamp)} ", DIM)]
        if worker is not None:
            begin.append((f"w{worker}".ljust(3), DIM))
        rest = [*self._others(), *self._ends()]
        for shown, reports in self._choices(more=more):
            if shown >= _ENOUGH and _fits(cells := [*begin, *_joined(reports, rest)], width):
                return coloured(cells, width, colours=colours)
        first = next(([*begin, *one] for _, one in self._choices(more=more) if _fits([*begin, *one], width)), begin)
        second: list[Cell] = [("".ljust(9), ""), *_joined([], rest)]
        return "\n".join(coloured(cells, width, colours=colours) for cells in (first, second))

    def _choices(self, *, more: bool) -> Iterator[tuple[int, list[Cell]]]:
        """The part about reports, and shorter ones, which leave out the platforms and then the rarer statuses."""
        for shown in _SHOWN:
            reports = self._reports(shown, more=more)
            yield shown, [*reports, *_listed(_named(self.platforms, 4))]
            yield shown, reports

    def _reports(self, shown: int, *, more: bool) -> list[Cell]:
        if not self.kinds["report"]:
            return []
        statuses = [(f"{number} {status}", COLOURS.get(status, "")) for status, number in _most(self.statuses, shown)]
        return [(f"{_counted('report', self.kinds['report'], more=more)}:", ""), *_commas(statuses)]

    def _others(self) -> list[Cell]:
        kinds = (kind for kind in ("reply", "submission") if self.kinds[kind])
        return [(_counted(kind, self.kinds[kind], more=False), "") for kind in kinds]

    def _ends(self) -> list[Cell]:
        words = {"duplicate": ("duplicate", "duplicates"), "spooled": ("spooled", "spooled")}
        return [(f"{number} {words[end][number != 1]}", YELLOW) for end, number in sorted(self.ends.items())]


def _fits(cells: list[Cell], width: int) -> bool:
    return columns(" ".join(text for text, _ in cells)) <= width


def _most(counts: Counter[str], shown: int) -> list[tuple[str, int]]:
    """The most frequent ones, and all others together where there are more."""
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    others = sum(number for _, number in ordered[shown:])
    return ordered[:shown] + ([("other", others)] if others else [])


def _named(counts: Counter[str], shown: int) -> list[Cell]:
    return [(f"{name} {number}", "") for name, number in _most(counts, shown)]


def _counted(kind: str, number: int, *, more: bool) -> str:
    return f"{number} {'more ' if more else ''}{kind if number == 1 else _PLURALS[kind]}"


def _commas(cells: list[Cell]) -> list[Cell]:
    return [(f"{text},", colour) for text, colour in cells[:-1]] + cells[-1:]


def _listed(cells: list[Cell]) -> list[Cell]:
    return [_APART, *_commas(cells)] if cells else []


def _joined(first: list[Cell], rest: Iterable[Cell]) -> list[Cell]:
    cells = list(first)
    for one in rest:
        cells += [_APART, one] if cells else [one]
    return cells
