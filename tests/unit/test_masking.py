"""What a log may show of a number, a token, a text; what must stay readable; and that masking is bounded work."""

import re
from datetime import UTC, datetime

import phonenumbers
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat

from receiver.telemetry import masking
from receiver.telemetry.masking import (
    MAX_ERROR,
    MAX_TEXT,
    clean,
    format_exception,
    mask_msisdn,
    scrub,
    scrub_error,
    scrubber,
)

TOKEN = "Zq7-callback_token.0123456789"
MASKED = [
    ("+8615512345678", "+86155****5678"),
    ("+12025550123", "+1202****0123"),
    ("+886912345678", "+8869****678"),
    ("+861234567", "+86****67"),
    ("+6834002", "+683****"),
    ("15512345678", "155****5678"),
    ("+86 155-1234-5678", "+86155****5678"),
    ("+86155****5678", "+86155****5678"),
    ("10086", "****"),
    ("no number", "****"),
    ("", ""),
    (None, None),
]
READABLE = [
    "2026-11-20T10:08:00.123Z",
    "2026-11-20 10:08:00.123456+08:00",
    "20261120T100800Z",
    "2ea20735-f856-4376-afbf-570bd70a46ee",
    "5A3B394096E50X01D1FA163E81BFFF",
    "d41d8cd98f00b204e9800998ecf8427e",
    "192.168.100.200:54321",
    "sms.report_p20261120",
    "<Task pending at 0x7f8a12345678>",
    "PostgreSQL 18.4, 5 of 2000 rows",
    "MK:0001",
]
NUMBERS = [
    "+8615512345678",
    "to=%2B8615512345678&x=1",
    "to=%2B86%20155%201234%205678",
    r"\u002b8615512345678",
    "tel:+86-155-1234-5678",
    "b'8615512345678'",
    "abc15512345678def",
    "id_15512345678",
    "155 1234 5678",
    "+86155\u20111234\u20115678",
    "\uff0b\uff18\uff16\uff11\uff15\uff1512345678",
    "2026-11-20T10:08:00Z15512345678",
    "+86155123456782026-11-20",
]
"""Each is 155 1234 5678."""


@pytest.mark.parametrize(("number", "masked"), MASKED)
def test_a_number_keeps_its_country_and_its_ends(number, masked):
    assert mask_msisdn(number) == masked


@given(st.from_regex(r"\+?[0-9](?:[ -]?[0-9]){5,17}", fullmatch=True))
def test_at_least_three_digits_of_any_number_are_hidden(number):
    shown = re.sub(r"\D", "", str(mask_msisdn(number)))
    assert len(shown) <= len(re.sub(r"\D", "", number)) - 3


@pytest.mark.parametrize("text", READABLE)
def test_ids_times_and_addresses_stay_readable(text):
    assert scrub(text) == text
    assert scrub(f"before {text} after") == f"before {text} after"


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_is_found_however_it_is_written(text):
    assert "****" in scrub(text)
    assert "12345678" not in re.sub(r"\D", "", scrub(text))


@st.composite
def some_number(draw: st.DrawFn) -> phonenumbers.PhoneNumber:
    region = draw(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)))
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    assume(example is not None)
    low = 10 ** (len(str(example.national_number)) - 1)
    national = draw(st.integers(low, low * 10 - 1))
    return phonenumbers.PhoneNumber(country_code=example.country_code, national_number=national)


FORMATS = (PhoneNumberFormat.E164, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.RFC3966)


@given(some_number(), st.sampled_from(FORMATS), st.text(), st.text())
def test_no_international_number_survives_in_any_text(number, style, before, after):
    written = phonenumbers.format_number(number, style)
    scrubbed = scrub(f"{before}{written}{after}")
    assert written not in scrubbed
    assert f"{number.country_code}{number.national_number}" not in re.sub(r"[\s()./-]", "", scrubbed)


@given(st.text())
def test_scrubbing_twice_changes_nothing_more(text):
    assert scrub(scrub(text)) == scrub(text)


@given(st.uuids(), st.integers(0, 999_999_999), st.integers(0, 4_000_000_000))
def test_a_message_id_made_of_a_uuid_and_a_time_of_this_age_stay(uuid, counter, seconds):
    moment = datetime.fromtimestamp(seconds + 0.25, UTC)
    for text in (f"{uuid}_{counter}", moment.isoformat(), f"{moment:%Y-%m-%d %H:%M:%S}"):
        assert scrub(f"at {text} it") == f"at {text} it"


@given(st.text(), st.text())
def test_a_known_token_is_hidden_anywhere(before, after):
    assert TOKEN not in scrubber((TOKEN, TOKEN[:20]))(f"{before}{TOKEN}{after}")


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("POST /callback/acme/report/mistyped-secret?x=1", "POST /callback/acme/report/***?x=1"),
        ("POST /callback/acme/report", "POST /callback/acme/report"),
        ("cannot reach postgresql://sms:hunter2@db:5432/sms", "cannot reach postgresql://sms:***@db:5432/sms"),
        ("no postgresql://sms:hunter2@a:5432,b:5433/sms", "no postgresql://sms:***@a:5432,b:5433/sms"),
        ("no postgresql:///sms?host=a,b&password=hunter2&user=x", "no postgresql:///sms?host=a,b&password=***&user=x"),
    ],
)
def test_a_wrong_token_and_a_password_are_hidden_too(text, scrubbed):
    assert scrub(text) == scrubbed


@pytest.mark.parametrize(
    "error",
    [
        "1 validation error\n  Input should be a number [type=x, input_value='the\n text', input_type=str]",
        "Input should be a number [type=x, input_value='the text",
        f"input_value='{'the text ' * MAX_ERROR}', input_type=str",
        "invalid input for query argument $3: ['the text'] (expected str)",
        "null value in column\nDETAIL:  Failing row contains (1, the text\n\n, 2).\nHINT:  none",
        'invalid input syntax for type json: "the text"',
    ],
    ids=["pydantic", "cut off", "long", "asyncpg", "a row", "json"],
)
def test_an_error_does_not_quote_the_payload(error):
    assert "text" not in scrub_error(error).replace("input_type", "")


def test_a_traceback_keeps_its_frames_and_loses_the_values():
    def store():
        raise ValueError("null value\nDETAIL:  Failing row contains (the text\n\nof it)")

    try:
        try:
            store()
        except ValueError as error:
            raise RuntimeError("for +8615512345678") from error
    except RuntimeError as error:
        told = format_exception(error)
    assert "in store" in told
    assert "RuntimeError: for +86155****5678" in told
    assert "DETAIL:  ***" in told
    assert "of it)" not in told.splitlines()
    group = format_exception(ExceptionGroup("two", [ValueError("DETAIL:  row (the\ntext)"), OSError("15512345678")]))
    assert "text)" not in group
    assert "15512345678" not in group


def test_nested_values_are_cleaned_and_bounded():
    value = {"Token": "x", "to": ["+8615512345678", b"body"], "n": 8615512345678, "deep": {"a": {"b": {"c": {}}}}}
    kept = {"to": ["+86155****5678", "<4 bytes>"], "n": "861****5678", "deep": {"a": {"b": {"c": "{}"}}}}
    assert clean(value) == kept
    assert len(str(clean("x" * 100_000))) == MAX_TEXT + 1


BEGINNINGS = ["input_value='x' ", "invalid input for query argument $1: ", "DETAIL:  ", "Failing row contains "]
"""Of quotations; then of what is looked for everywhere."""

OTHERS = ["invalid input syntax for ", "postgresql://x:", "/callback/a/b/", "1 "]


class Spy:
    """In place of a pattern: how long the texts were that it was asked about."""

    def __init__(self, pattern, seen):
        self._pattern = pattern
        self._seen = seen

    def sub(self, replacement, text):
        self._seen.append(len(text))
        return self._pattern.sub(replacement, text)


@pytest.mark.parametrize("beginning", [*BEGINNINGS, *OTHERS])
def test_no_pattern_sees_more_than_so_much_of_a_text(monkeypatch, beginning):
    seen: list[int] = []
    monkeypatch.setattr(masking, "_QUOTED", [Spy(pattern, seen) for pattern in masking._QUOTED])
    assert len(scrub_error(beginning * 200_000)) <= MAX_TEXT + 1
    assert max(seen) <= MAX_ERROR + 1


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_what_is_quoted_is_found_once_and_not_looked_for_again_behind_each_beginning(beginning):
    """A beginning without its end was looked for to the end of the text, again and again: the square of its length."""
    found = [pattern.findall(beginning * 100) for pattern in masking._QUOTED]
    assert [len(matches) for matches in found if matches] == [1]


@pytest.mark.parametrize("before", range(MAX_ERROR - len(TOKEN), MAX_ERROR, 7))
def test_a_secret_is_not_cut_into_one_that_nobody_knows(before):
    """Not even where what stands before it shrinks so much that the place of the cut is shown."""
    quoted = "DETAIL:  ".ljust(before - 12, "x") + "\nHINT: look "
    scrubbed = scrub_error(f"{quoted}{TOKEN} and more", scrubber([TOKEN]))
    assert scrubbed.startswith("DETAIL:  ***\nHINT: ")
    assert TOKEN[:4] not in scrubbed
