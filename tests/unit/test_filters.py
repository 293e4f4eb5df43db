"""What a URL or an option asks for: in any way of writing it, back again, and nothing that a database chokes on."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.reading import numbers, periods
from receiver.reading.filters import REASONS, STATUSES, FilterError, Filters
from receiver.reading.paging import Cursor, page_of
from receiver.reading.periods import FIRST, LAST

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
NAMES = sorted(Filters.model_fields)
SUBSCRIBER = "+8615512345678"

plain = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1, max_size=60)
asked = st.fixed_dictionaries(
    {},
    optional={
        "since": st.sampled_from(["90m", "24h", "7d", "2w"]),
        "provider": plain,
        "country": st.sampled_from(["cn", "HK", "-"]),
        "status": st.sampled_from(STATUSES),
        "reason": st.sampled_from(REASONS),
        "code": plain,
        "sender": plain,
        "number": st.sampled_from([SUBSCRIBER, "0086 155-1234-5678", "155 1234 5678"]),
        "message_id": plain,
        "correlation": plain,
        "error": plain,
        "replayed": st.sampled_from(["1", "yes"]),
    },
)


@given(asked)
def test_filters_go_into_a_url_and_come_back(wanted):
    filters = Filters.parse(wanted)
    query = filters.query()
    assert Filters.parse(dict(parse_qsl(query))) == filters
    assert filters.query(older="20261122T123000000000.1").startswith(query)
    assert query.isascii()


@given(st.dictionaries(st.sampled_from([*NAMES, "older", "x"]), st.text(max_size=700), max_size=8))
def test_whatever_is_asked_is_understood_or_refused_with_a_sentence(wanted):
    problems: dict[str, str] = {}
    try:
        filters = Filters.parse(wanted)
    except FilterError as error:
        problems = error.problems
    if problems:
        assert set(problems) <= set(NAMES)
        return
    for text in filters.given.values():
        assert "\0" not in text
        assert text.encode("utf-8")
    period = filters.period(datetime.now(UTC))
    assert timedelta() < period.until - period.since <= timedelta(days=367)
    for number in filters.numbers:
        assert number.removeprefix("+").isdigit()


@pytest.mark.parametrize(
    "written",
    [
        "+86 155-1234 5678",
        "+8615512345678",
        "008615512345678",
        "8615512345678",
        " 8615512345678",  # of `+86…` in a URL, where a plus is a blank
        "(+86) 155.1234.5678",
        "\uff08+86\uff09155 1234 5678",
        "tel:+86-155-1234-5678",
        "\uff0b\uff18\uff16 155 1234 5678",
        "\u202a+86\u00a0155 1234 5678\u202c",
        "155 1234 5678",
    ],
)
def test_a_number_is_found_in_any_way_of_writing_it(written):
    assert SUBSCRIBER in Filters.parse({"number": written}).numbers


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("number", "order-17", "is no phone number"),
        ("number", "+86155****5678", "is masked"),
        ("number", "9" * 65, "too long"),
        ("number", "12", "no phone number that can be"),
        ("since", "yesterday", "write 24h, 7d"),
        ("since", "2026-13-01", "no time that there is"),
        ("since", "9999-12-31", "no time between"),
        ("since", "0001-01-01T00:00:00+14:00", "no time"),
        ("since", "999999d", "longer than a year"),
        ("since", "2020-01-01", "longer than a year"),
        ("until", "2w", "before it begins"),
        ("since", "2199-01-01", "is not in the past"),
        ("status", "lost", "is none of unknown, enroute"),
        ("reason", "bad", "is none of invalid_number"),
        ("country", "China", "two letters"),
        ("replayed", "maybe", "either 1"),
        ("code", "a\0b", "cannot be searched for"),
        ("message_id", "\ud800", "cannot be searched for"),
        ("sender", "s" * 513, "longer than 512"),
    ],
)
def test_what_cannot_be_asked_for_is_said(name, value, says):
    with pytest.raises(FilterError) as error:
        Filters.parse({name: value})
    assert says in " ".join(error.value.problems.values())


def test_a_period_is_relative_or_of_whole_days_or_to_the_minute():
    def of(since: str, until: str | None = None) -> tuple[datetime, datetime]:
        return tuple(periods.period(since, until, NOW))

    assert of("36h") == (NOW - timedelta(hours=36), NOW)
    assert of("7d", "1d") == (NOW - timedelta(days=7), NOW - timedelta(days=1))
    day = datetime(2026, 11, 1, tzinfo=UTC)
    assert of("2026-11-01", "2026-11-01") == (day, day + timedelta(days=1)), "the last day is meant with all its hours"
    assert of("2026-11-01T08:00+08:00", "2026-11-01 12:30") == (day, day + timedelta(hours=12, minutes=30))


def test_a_look_up_goes_back_a_month_and_a_list_a_day():
    assert NOW - Filters.parse({"number": SUBSCRIBER}).period(NOW).since == timedelta(days=30)
    assert NOW - Filters.parse({"status": "failed"}).period(NOW).since == timedelta(days=1)


def test_a_number_that_is_shown_can_be_asked_for_whatever_a_library_thinks_of_it():
    assert Filters.parse({"number": "+85260090098412"}).numbers == ("+85260090098412",)


def test_a_number_without_a_country_loads_a_bounded_number_of_countries():
    assert len(numbers.candidates("155 1234 5678")) <= 17


@given(
    st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None), timezones=st.just(UTC)), st.integers(0, 999_999)
)
def test_a_cursor_goes_into_a_url_and_comes_back(at, skip):
    cursor = Cursor(at, skip)
    assert Cursor.parse(str(cursor)) == cursor


@pytest.mark.parametrize(
    "text",
    ["x", "20261122T123000000000", "20261322T123000000000.1", "20261122T123000000000.-1", "99991231T235959999999.0"],
)
def test_a_cursor_that_was_made_up_is_refused(text):
    with pytest.raises(FilterError, match="begin at its start"):
        Cursor.parse(text)


def test_rows_of_one_time_are_counted_over_pages():
    times = [NOW] * 6
    first = page_of([1, 2, 3], times[:3], 2, None)
    assert (first.rows, first.older) == ([1, 2], Cursor(NOW, 2))
    second = page_of([3, 4, 5], times[:3], 2, first.older)
    assert second.older == Cursor(NOW, 4)
    assert page_of([5, 6], times[:2], 2, second.older).older is None
