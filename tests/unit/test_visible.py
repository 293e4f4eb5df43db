"""What a terminal or the viewer of a log would obey never gets there as it came, and nothing else is touched."""

import json
from unicodedata import category

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.telemetry.visible import visible, visible_json, visible_json_line

OBEYED = ("Cc", "Cf", "Zl", "Zp", "Cs")
obeyed = st.characters(categories=OBEYED)
texts = st.lists(st.one_of(obeyed, st.characters(), st.text())).map("".join)


def of_obeyed(text: str, keep: str = "") -> list[str]:
    return [one for one in text if category(one) in OBEYED and one not in keep]


@given(texts)
def test_nothing_comes_out_that_is_obeyed(text: str) -> None:
    assert of_obeyed(visible(text)) == []
    assert of_obeyed(visible(text, keep="\n\t"), keep="\n\t") == []
    visible(text).encode()


@given(texts)
def test_a_second_time_changes_nothing_more(text: str) -> None:
    assert visible(visible(text)) == visible(text)


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S", "Zs"])))
def test_letters_and_blanks_of_any_language_stay(text: str) -> None:
    assert visible(text) == text


sane = st.lists(st.one_of(st.characters(categories=OBEYED[:-1]), st.text())).map("".join)
values = st.recursive(
    sane | st.none() | st.integers(),
    lambda inner: st.dictionaries(sane, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=8,
)


@given(value=values, indent=st.sampled_from([None, 2]), ensure_ascii=st.booleans())
def test_json_says_the_same_without_what_is_obeyed(value: object, indent: int | None, *, ensure_ascii: bool) -> None:
    document = json.dumps(value, indent=indent, ensure_ascii=ensure_ascii)
    assert of_obeyed(visible_json(document), keep="\n") == []
    assert json.loads(visible_json(document)) == value


@given(st.dictionaries(st.text(), st.text()))
def test_a_line_of_a_fast_serialiser_too(value: dict[str, str]) -> None:
    line = visible_json_line(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))
    assert of_obeyed(line.decode(), keep="\n") == []
    assert line.endswith(b"\n")
    assert orjson.loads(line) == value


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b31m", r"\x9b31m"),
        ("\x7f", r"\x7f"),
        ("a\r\nb", r"a\r\nb"),
        ("\u202eDELIVRD\u2066", r"\u202eDELIVRD\u2066"),
        ("\u2028\u2029\x85", r"\u2028\u2029\x85"),
        ("\U000e0041", r"\U000e0041"),
        ("\ud800", r"\ud800"),
        ("退订\u3000é\xa0😀", "退订\u3000é\xa0😀"),
    ],
)
def test_it_is_shown_as_python_writes_it(raw: str, shown: str) -> None:
    assert visible(raw) == shown


def test_in_json_it_is_shown_as_json_has_it() -> None:
    document = json.dumps({"a": "\x7f\x9b\u202e\u2028\U000e0041"}, ensure_ascii=False)
    assert visible_json(document) == '{"a": "\\u007f\\u009b\\u202e\\u2028\\udb40\\udc41"}'
