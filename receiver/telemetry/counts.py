"""Counters and histograms with labels for one thread, the event loop's: plain numbers, turned into samples at a scrape.

prometheus_client's own take a lock and several calls for each step, a twentieth of a report's CPU.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from math import inf
from typing import Final, Generic, TypeVar

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

MAX_CHILDREN: Final = 1_000
"""Most time series of one metric. Providers by status by reason come to a few hundred."""

OVERFLOW: Final = "other"

Labels = tuple[str, ...]


class Count:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0


class Observations:
    """How many values fell into each bucket, up to its bound and above the one before; the last has no bound."""

    __slots__ = ("_bounds", "buckets", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Add a value."""
        self.sum += value
        self.buckets[bisect_left(self._bounds, value)] += 1


Child = TypeVar("Child", Count, Observations)


class LabelCache(dict[Labels, Child], Generic[Child]):
    """A metric's children by their label values. Bounded by `MAX_CHILDREN`."""

    def __init__(self, new: Callable[[], Child], size: int) -> None:
        super().__init__()
        self._new: Callable[[], Child] = new
        self._overflow = (OVERFLOW,) * size

    def __missing__(self, labels: Labels) -> Child:
        if len(self) >= MAX_CHILDREN and labels != self._overflow:
            return self[self._overflow]
        child: Child = self._new()
        self[labels] = child
        return child


class Counters(Collector):
    """Turns the children of one counter into samples."""

    def __init__(self, name: str, text: str, labels: Labels) -> None:
        self._of = name, text, labels
        self.children: LabelCache[Count] = LabelCache(Count, len(labels))

    def collect(self) -> Iterator[CounterMetricFamily]:
        name, text, names = self._of
        family = CounterMetricFamily(name, text, labels=names)
        for labels, child in self.children.items():
            family.add_metric([*map(str, labels)], child.value)
        yield family


class Histograms(Collector):
    """Turns the children of one histogram into samples."""

    def __init__(self, name: str, text: str, bounds: Sequence[float], labels: Labels) -> None:
        self._of = name, text, labels
        self._bounds = [*map(str, map(floatToGoString, (*bounds, inf)))]
        self.children: LabelCache[Observations] = LabelCache(lambda: Observations(bounds), len(labels))

    def collect(self) -> Iterator[HistogramMetricFamily]:
        name, text, names = self._of
        family = HistogramMetricFamily(name, text, labels=names)
        for labels, child in self.children.items():
            buckets = zip(self._bounds, accumulate(child.buckets), strict=True)
            family.add_metric([*map(str, labels)], [*buckets], child.sum)
        yield family
