"""Charts over time as data. `drawing` makes them SVG."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

MAX_POINTS: Final = 62
"""Points on the time axis: a chart of three series takes some 20 ms to draw then."""


@dataclass(frozen=True, slots=True)
class Series:
    """Values by point; None where there is none. `kind` is its class in style.css: good, bad, flow, warn or soft.

    `links` are URLs of the lists behind the values, by point.
    """

    name: str
    kind: str
    values: Sequence[float | None]
    links: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart: `labels` name its points in full, each different; `ticks` are their short forms for the axis.

    Bars stand on each other, lines do not. `shown` formats a value.
    """

    title: str
    labels: Sequence[str]
    ticks: Sequence[str]
    series: Sequence[Series]
    shown: Callable[[float | None], str]
    lines: bool = False
    marked: Callable[[float], str] = "{:,.0f}".format
    """Formats a mark of the scale."""

    most: float | None = None
    """The end of the scale, if the values have one; without one they are counts."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(value for series in self.series for value in series.values)

    def svg(self) -> Markup:
        """The drawing. Raises ValueError for more than MAX_POINTS."""
        if len(self.labels) > MAX_POINTS:
            raise ValueError(f"{len(self.labels)} points are more than a chart can show")
        from receiver.pages.drawing import drawn  # noqa: PLC0415 - pygal takes 0.1 s to import, and not every process draws

        return Markup(drawn(self))  # noqa: S704 - the XML writer has escaped every text in it
