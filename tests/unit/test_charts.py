"""Charts are drawings that the pages' policy lets a browser show, with texts and links that stay what they are."""

from xml.etree import ElementTree as ET

import pytest

from receiver.pages.charts import MAX_POINTS, Chart, Series

SVG = "{http://www.w3.org/2000/svg}"
MARKUP = '</text><script>alert(1)</script><b onload="x">&'


def chart(points: int = 30, *, lines: bool = False) -> Chart:
    labels = [f"2026-11-20 {point // 60:02}:{point % 60:02}" for point in range(points)]
    links = [f"/messages?at={label}&x=<" for label in labels]
    return Chart(
        title=f"Messages {MARKUP}",
        labels=labels,
        ticks=[label[-5:] for label in labels],
        series=[
            Series(f"delivered {MARKUP}", "good", [1, 0, None, *range(3, points)], links),
            Series("failed", "bad", [2.0] * points),
        ],
        shown=lambda value: f"{value:g} {MARKUP}",
        lines=lines,
    )


@pytest.mark.parametrize("lines", [False, True])
def test_a_chart_has_nothing_that_the_policy_forbids_and_lets_no_text_become_markup(*, lines: bool) -> None:
    drawn = str(chart(lines=lines).svg())
    root = ET.fromstring(drawn)
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "g", "a", "path", "rect", "circle", "text", "title"}
    attributes = {name for element in root.iter() for name in element.attrib}
    assert not {name for name in attributes if name == "style" or name.startswith("on")}
    assert "<!--" not in drawn
    assert "xlink" not in drawn
    assert root.get("aria-label") == f"Messages {MARKUP}"


def test_each_bar_leads_to_the_list_behind_it_and_says_its_value() -> None:
    links = {link.get("href"): link for link in ET.fromstring(str(chart().svg())).iter(f"{SVG}a")}
    assert len(links) == 28, "none for 0, none for nothing"
    seven = links["/messages?at=2026-11-20 00:07&x=<"]
    assert seven.findtext(f"{SVG}title") == f"2026-11-20 00:07: 7 {MARKUP} delivered {MARKUP}"
    assert seven.find(f"{SVG}rect") is not None


def test_the_axis_of_time_has_few_labels_in_their_short_form() -> None:
    texts = [text.text for text in ET.fromstring(str(chart(60).svg())).iter(f"{SVG}text")]
    assert [text for text in texts if text and ":" in text] == ["00:00", "00:10", "00:20", "00:30", "00:40", "00:50"]


def test_a_chart_of_too_many_points_is_refused() -> None:
    assert not chart(MAX_POINTS).is_empty
    with pytest.raises(ValueError, match="63 points"):
        chart(MAX_POINTS + 1).svg()
