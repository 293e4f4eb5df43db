"""A report as one short line: what it says, how wide it is, and what strangers' text does to it."""

import re
from unicodedata import category

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from receiver.report import Status
from receiver.telemetry.short_line import COLOURS, MIN_WIDTH, columns, lateness, short_line

REPORT = {
    "timestamp": "2026-11-22T12:00:01.250Z",
    "event": "report.stored",
    "provider": "huawei",
    "status": "undeliverable",
    "reason": "unreachable",
    "code": "E200027",
    "recipient": "+86155****5678",
    "country": "CN",
    "lag_s": 1.234,
    "message_id": "b9d9b4fe-ad0e-4a2a-a2c7-445505b674ac_6",
}
COLOUR = re.compile(r"\x1b\[\d*m")
hostile = st.text(max_size=60) | st.sampled_from(
    ["\x1b[2J" * 9, "中" * 70, "\u202eDELIVRD", "e\u0301" * 99, "\u0301" * 999]
)


def plain(**changes: object) -> str:
    return short_line(REPORT | changes, width=None, colours=False)


def test_a_line_says_when_what_to_which_number_and_how_late():
    assert plain() == (
        "12:00:01  huawei   undeliverable +86155****5678  CN E200027   1.2s "
        "b9d9b4fe-ad0e-4a2a-a2c7-445505b674ac_6 unreachable"
    )


@pytest.mark.parametrize(
    ("width", "last"), [(80, "unreachable"), (110, REPORT["message_id"]), (130, "unreachable"), (None, "unreachable")]
)
def test_the_message_id_and_the_reason_are_there_where_they_fit(width, last):
    line = short_line(REPORT, width=width, colours=False)
    assert line.split()[-1] == last
    assert (REPORT["message_id"] in line) is (width != 80)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"event": "report.duplicate"}, ["undeliverable", "duplicate"]),
        ({"event": "report.spooled"}, ["undeliverable", "spooled"]),
        ({"event": "submission.stored", "status": "enroute"}, ["enroute", "submission"]),
        (
            {"event": "reply.duplicate", "status": None, "recipient": None, "sender": "+852****21"},
            ["reply", "+852****21"],
        ),
        ({"worker": 12}, ["w12"]),
    ],
)
def test_a_line_says_what_else_it_is(changes, words):
    assert set(words) <= set(plain(**changes).split())
    assert set(words) <= set(short_line(REPORT | changes, width=MIN_WIDTH, colours=False).split())


def test_every_status_has_a_colour_and_the_words_stay_the_same():
    assert set(COLOURS) == set(Status)
    for status in Status:
        line = short_line(REPORT | {"status": status}, width=100, colours=True)
        assert f"{COLOURS[status]} {status}" in line
        assert COLOUR.sub("", line) == short_line(REPORT | {"status": status}, width=100, colours=False)


@given(
    width=st.integers(MIN_WIDTH, 300),
    colours=st.booleans(),
    report=st.fixed_dictionaries(
        {key: hostile for key in REPORT if key not in ("timestamp", "lag_s")}
        | {"timestamp": st.just(REPORT["timestamp"]), "lag_s": st.none() | st.floats(-1e9, 1e12)},
        optional={"worker": st.integers(1, 16)},
    ),
)
@example(width=80, colours=True, report=REPORT | {"code": "\x1b[2J\u202e中" * 20, "event": "report.duplicate"})
def test_no_text_makes_a_line_wider_than_the_terminal_or_obeyed_by_it(width, colours, report):
    line = short_line(report, width=width, colours=colours)
    said = COLOUR.sub("", line)
    assert columns(said) <= width
    assert len(line) <= 9 * width
    assert [one for one in said if category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp")] == []
    assert said.startswith("12:00:01  ")


@given(code=hostile, worker=st.none() | st.integers(1, 16))
def test_a_long_code_pushes_nothing_out_of_the_line(code, worker):
    line = short_line(REPORT | {"code": code, "worker": worker, "event": "report.duplicate"}, width=80, colours=False)
    assert line.split()[-2:] == ["1.2s", "duplicate"]


@given(st.floats(-1e12, 1e12))
def test_lateness_is_short(lag_s):
    assert len(lateness(lag_s)) <= 7
    assert len(lateness(max(0, min(lag_s, 86_400 * 9_000)))) <= 5


@pytest.mark.parametrize(
    ("lag_s", "said"),
    [
        (None, "-"),
        (0.04, "0.0s"),
        (9.96, "10s"),
        (60, "60s"),
        (720, "12m"),
        (7_200, "2h"),
        (900_000, "10d"),
        (-3, "-3.0s"),
    ],
)
def test_lateness_is_in_the_unit_that_people_would_choose(lag_s, said):
    assert lateness(lag_s) == said
