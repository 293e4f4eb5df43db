"""Rows in files: a spreadsheet runs nothing in them, a program reads back what was there."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.reading.formats import encoder, header

NAMES = ("code", "detail")
text = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\r\n"), max_size=30)


def cells(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


@pytest.mark.parametrize(
    "cell", ["=1+1", "+SUM(A1)", "-2+3", "@SUM(1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "+86 155", "-"]
)
def test_no_cell_is_a_formula(cell):
    assert cells(encoder(NAMES, "csv")([("DELIVRD", cell)])) == [["DELIVRD", f"'{cell}"]]


@pytest.mark.parametrize(
    "cell", ["+8615512345678", "+86155****5678", "-3", "+1.5", "DELIVRD", "MA:0001", "", "a=b", '"', "a,b", "5000:-1"]
)
def test_what_is_no_formula_stays_as_it_is(cell):
    assert cells(encoder(NAMES, "csv")([("DELIVRD", cell)])) == [["DELIVRD", cell]]


@given(st.lists(st.tuples(text, text), max_size=5))
def test_a_program_reads_back_each_row(rows):
    plain = cells(header(NAMES, "csv") + encoder(NAMES, "csv")(rows))
    assert plain[0] == list(NAMES)
    assert [tuple(cell.removeprefix("'") for cell in row) for row in plain[1:]] == [
        tuple(cell.removeprefix("'") for cell in row) for row in rows
    ]
    lines = encoder(NAMES, "jsonl")(rows).decode().split("\n")[:-1]
    assert [tuple(json.loads(line).values()) for line in lines] == rows
    assert header(NAMES, "jsonl") == b""


def test_times_are_in_utc_and_json_stays_json():
    at = datetime(2026, 11, 22, 8, 30, tzinfo=timezone(timedelta(hours=8)))
    row = (at, True, None, 1.5, '{"extend": "order=1"}', UUID(int=1))
    names = ("at", "final", "reason", "s", "context", "id")
    assert json.loads(encoder(names, "jsonl")([row])) == {
        "at": "2026-11-22T00:30:00Z",
        "final": True,
        "reason": None,
        "s": 1.5,
        "context": {"extend": "order=1"},
        "id": str(UUID(int=1)),
    }
    assert cells(encoder(names, "csv")([row])) == [
        ["2026-11-22T00:30:00Z", "true", "", "1.5", '{"extend": "order=1"}', str(UUID(int=1))]
    ]
    assert at.astimezone(UTC).hour == 0


def test_a_line_of_json_moves_no_cursor():
    line = encoder(NAMES, "jsonl")([("\x9b2J", "\u202e<b>")])
    assert line.isascii()
    assert json.loads(line)["detail"] == "\u202e<b>"


def test_a_table_moves_no_cursor_either():
    """`receiver export reports | head` let a stranger's message id speak to the terminal."""
    data = encoder(NAMES, "csv")([("\x1b[2J\x9b31m\x00", "two\nlines\tand \U0001f468\u200d\U0001f469")])
    assert cells(data) == [["\\x1b[2J\\x9b31m\\x00", "two\nlines\tand \U0001f468\u200d\U0001f469"]]
