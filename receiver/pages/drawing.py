"""Charts as SVG by pygal. Its styles and scripts stay out: `style.css` has the colours.

A chart's texts come from data; pygal builds a tree of XML, whose writer escapes them.
"""

import math
import re
import sys
from typing import Final
from xml.etree.ElementTree import Element

import pygal
from pygal.style import Style

from receiver.pages.charts import Chart, Series

# It looks at every import from then on, for maps that we do not have, and Python 3.11 warns of its old protocol.
sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]

_TICKS: Final = 6
"""Labels on the time axis that a phone has room for."""

_MARKS: Final = 3
_LEAST_STEPS: Final = (1.0, 0.01)
"""Counts have no fractions, and shares no parts of a percent."""

_TOLERANCE: Final = 1e-9
_SIZE: Final = (560, 210)
_LABEL_SIZE: Final = 13

_LINK: Final = "{http://www.w3.org/1999/xlink}href"
_POINT: Final = "data-point"
_SERIES: Final = re.compile(r"\bserie-(\d+)")
_DROPPED: Final = frozenset(("style", "script", "defs", "desc", "title"))
_IDLE: Final = frozenset(("background", "tooltip", "plot tooltip-overlay"))
_ROUNDED: Final = frozenset(("x", "y", "width", "height", "cx", "cy"))
_LEFT_OUT: Final = frozenset(("style", "id", "rx", "ry", "target"))


class _Quiet:
    """Draws no boxes for pygal's script: `_cleaned` gives the points titles, which browsers show by themselves."""

    def _tooltip_data(
        self, node: Element, _value: str, _x: float, _y: float, _where: str = "", xlabel: str = ""
    ) -> None:
        node.set(_POINT, xlabel)

    def _static_value(self, *_: object) -> None: ...

    def _confidence_interval(self, *_: object) -> None: ...


class _Bars(_Quiet, pygal.StackedBar):  # type: ignore[misc]  # pygal has no types
    """Series that add up to a whole."""


class _Lines(_Quiet, pygal.Line):  # type: ignore[misc]  # pygal has no types
    """Series that do not add up."""


def drawn(chart: Chart) -> str:
    """The chart as an element `svg`."""
    width, height = _SIZE
    step = max(1, -(-len(chart.labels) // _TICKS))
    drawing = (_Lines if chart.lines else _Bars)(
        css=(),
        js=(),
        width=width,
        height=height,
        margin=2,
        spacing=4,
        style=Style(label_font_size=_LABEL_SIZE, major_label_font_size=_LABEL_SIZE),
        explicit_size=False,
        no_prefix=True,
        disable_xml_declaration=True,
        show_legend=False,
        show_minor_x_labels=False,
        truncate_label=-1,
        value_formatter=chart.shown,
        dots_size=2.5,
        allow_interruptions=True,
    )
    drawing.x_labels = chart.labels
    drawing.x_labels_major = chart.labels[::step]
    marks = _scale(chart)
    drawing.y_labels = [{"value": mark, "label": chart.marked(mark)} for mark in marks]
    drawing.range = (marks[0], marks[-1])
    for series in chart.series:
        drawing.add(series.name, [_point(series, number) for number in range(len(series.values))])
    drawing.add_xml_filter(lambda root: _cleaned(root, chart))
    return str(drawing.render())


def _scale(chart: Chart) -> list[float]:
    """Marks of the scale: three or four, at round values. A scale with an end begins near the least value."""
    values = [value for series in chart.series for value in series.values if value is not None]
    if not chart.lines:
        columns = [series.values for series in chart.series]
        values = [sum(value or 0 for value in values) for values in zip(*columns, strict=True)]
    most = max(values, default=0.0) if chart.most is None else chart.most
    least = 0.0 if chart.most is None else min(most, *values, most)
    step = _round_up(max((most - least) / _MARKS, _LEAST_STEPS[chart.most is not None]))
    first = math.floor(least / step + _TOLERANCE) * step
    return [first + number * step for number in range(math.ceil((most - first) / step - _TOLERANCE) + 1)]


def _round_up(step: float) -> float:
    """1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - _TOLERANCE))


def _point(series: Series, number: int) -> dict[str, object] | float | None:
    value = series.values[number]
    if value is None or not series.links:
        return value
    return {"value": value, "xlink": {"href": series.links[number]}}


def _cleaned(root: Element, chart: Chart) -> Element:
    """Remove everything that the pages' policy forbids, and everything that only pygal's script uses."""
    _strip(root, dict(zip(chart.labels, chart.ticks, strict=True)))
    root.set("class", "chart")
    root.set("role", "group")
    root.set("aria-label", chart.title)
    for group in root.iter("g"):
        if found := _SERIES.search(group.get("class", "")):
            series = chart.series[int(found[1])]
            group.set("class", f"series {series.kind}")
            _name_points(group, chart, series)
    return root


def _strip(parent: Element, ticks: dict[str, str]) -> None:
    for name in [name for name in parent.attrib if name in _LEFT_OUT]:
        del parent.attrib[name]
    for name in _ROUNDED & parent.attrib.keys():
        parent.set(name, f"{float(parent.attrib[name]):.1f}".removesuffix(".0"))
    if _LINK in parent.attrib:
        parent.set("href", parent.attrib.pop(_LINK))
        parent.set("tabindex", "-1")  # the table beside has the same links, one a row
    if parent.tag == "text" and parent.text in ticks:
        parent.text = ticks[parent.text]
    for child in list(parent):
        is_element = isinstance(child.tag, str)  # the tag of a comment is a function
        if is_element:
            _strip(child, ticks)
        if not is_element or child.tag in _DROPPED or _is_idle(child):
            parent.remove(child)


def _is_idle(element: Element) -> bool:
    """A background, a group with nothing in it, or a bar without height."""
    is_empty = element.tag in ("g", "a") and len(element) == 0
    is_flat = element.tag == "rect" and float(element.get("height", "0")) == 0
    return is_empty or is_flat or element.get("class") in _IDLE


def _name_points(group: Element, chart: Chart, series: Series) -> None:
    """Give each point a title, and its link the same name."""
    for point in group.iter():
        if (label := point.attrib.pop(_POINT, None)) is None:
            continue
        said = f"{label}: {chart.shown(series.values[chart.labels.index(label)])} {series.name}"
        title = Element("title")
        title.text = said
        point.insert(0, title)
        if point.tag == "a":
            point.set("aria-label", said)
