"""The code tables: what they hold, how a code finds its row, and what their schema refuses."""

import csv
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver import catalogue
from receiver.catalogue import CatalogueError, Code, entries, find, fingerprint, lookup, parse
from receiver.providers import tencent
from receiver.report import FINAL, Reason, Status

HEADER = "code\tstatus\treason\tmeaning\tadvice\n"


def outcome(provider: str, code: str) -> str | None:
    """`status` or `status/reason` of a code, short enough for a table of expectations."""
    row = lookup(provider, code)
    return row and (f"{row.status}/{row.reason}" if row.reason else row.status)


# What the tables hold.


def test_every_provider_is_a_file_and_every_row_of_a_file_is_an_entry():
    files = {file.stem: file.read_text(encoding="utf-8") for file in Path(catalogue.__file__).parent.glob("*.tsv")}
    assert {row.provider for row in entries()} == files.keys()
    for name, text in files.items():
        rows = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
        assert [row["code"] for row in rows] == [row.code for row in entries() if row.provider == name]


def test_the_tables_are_complete():
    counts = Counter(row.provider for row in entries())
    published, stand_for, refusals = 1969, 124, 11
    expected = {"huawei": 144, "cloudsms": 36, "tencent": published + stand_for + refusals}
    assert {name: counts[name] for name in expected} == expected
    assert {row.reason for row in entries()} == {*Reason, None}


def test_every_row_is_sound():
    for row in entries():
        assert row.final == (row.status in FINAL)
        assert row.status is not Status.UNKNOWN, "that is the status of a code without a row"
        assert (row.reason is not None) == (row.final and row.status is not Status.DELIVERED), row
        carriers = {"any", "china-mobile", "china-telecom", "china-unicom"} if row.provider == "tencent" else {None}
        assert row.carriers in carriers
        for text in (row.meaning, row.advice):
            assert re.fullmatch(r"[A-Z0-9](?!.*\. ).{,138}\.", text), row
    assert len({(row.provider, row.code.casefold()) for row in entries()}) == len(entries())


def test_the_fingerprint_follows_the_contents(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint()
    assert before == fingerprint.__wrapped__(), "the same contents, the same name"
    first, *rest = entries()
    other = Code(first.provider, first.code, first.status, first.reason, first.meaning, "Something else.")
    monkeypatch.setattr(catalogue, "entries", lambda: (other, *rest))
    assert fingerprint.__wrapped__() != before


# What a code means. Design, section 3, and the documents that it rests on.

DESIGN = {
    "enroute": {"cloudsms": "1 9"},
    "accepted": {"cloudsms": "6", "huawei": "ACCEPTD", "tencent": "ACCEPTD"},
    "expired/expired": {"cloudsms": "3", "huawei": "EXPIRED E200034 E200038", "tencent": "EXPIRED"},
    "deleted/unknown": {"cloudsms": "4", "huawei": "DELETED", "tencent": "DELETED"},
    "undeliverable/unknown": {"cloudsms": "5 7", "tencent": "UNKNOWN FAIL"},
    "undeliverable/number_unavailable": {"huawei": "UNDELIV", "tencent": "UNDELIV"},
    "undeliverable/invalid_number": {"huawei": "UNKNOWN"},
    "rejected/blocked": {"cloudsms": "8", "huawei": "REJECTD", "tencent": "REJECTD"},
    "rejected/not_permitted": {"cloudsms": "60"},
    "delivered": {"cloudsms": "2", "huawei": "DELIVRD", "tencent": "DELIVRD SUCCESS"},
}

DOCUMENTS = {
    "accepted": {"huawei": "000000 ACCEPTED", "tencent": "ACCEPTED"},
    "rejected/platform_error": {"huawei": "E000000 E200035"},
    "rejected/not_permitted": {"huawei": "E000027 E000101 E000503 E000628 E200024 RTE_ERR SC:0011"},
    "rejected/rate_limited": {"huawei": "E000623 E200015 MILIMIT LIMIT SC:0010", "tencent": "VALVE:M"},
    "rejected/insufficient_balance": {"huawei": "E000629"},
    "rejected/duplicate_recipient": {"huawei": "E200041"},
    "rejected/blocklisted": {"huawei": "E000632 BLACK MBBLACK SC:0005 2:70", "tencent": "-103"},
    "rejected/content_rejected": {"huawei": "E200028 KEYWORD DJ:0255 SC:0018 CL26:-36", "tencent": "-1021"},
    "undeliverable/number_unavailable": {"huawei": "1 24 LT:0001 MK:0012 MN:0001 SME8 SMECL:FAILED 2:24"},
    "undeliverable/carrier_error": {"huawei": "88 MA:0054 MB:0008 ID:0070", "tencent": "MA:0001"},
    "undeliverable/no_report": {"huawei": "MC:0055 IC:0001"},
    "undeliverable/invalid_number": {"huawei": "108 -3 SMGPERR:52", "tencent": "MK:0001 MK:0000"},
    "undeliverable/unreachable": {"huawei": "101", "tencent": "-100"},
    "undeliverable/suspended": {"huawei": "103", "tencent": "GB:0010"},
    "undeliverable/number_ported": {"tencent": "-1023"},
    "undeliverable/handset_error": {"tencent": "LT:0008"},
    "expired/expired": {"tencent": "IA:0054"},
}

SPELT_STATES = {
    "expired/unreachable": {"tencent": "EXPIREDS608S"},
    "expired/suspended": {"tencent": "EXPIRED_76"},
    "rejected/unreachable": {"tencent": "REJECTDS174S"},
    "undeliverable/blocked": {"tencent": "UNDELIVS606S"},
    "undeliverable/unreachable": {"tencent": "UNKNOWNS879S"},
}
"""Codes that spell an SMPP state: it is the status, and the reason says what lies behind it."""


def test_a_code_means_what_the_documents_say() -> None:
    told = {
        (provider, code): expected
        for table in (DESIGN, DOCUMENTS, SPELT_STATES)
        for expected, by_provider in table.items()
        for provider, codes in by_provider.items()
        for code in codes.split()
    }
    assert {known: outcome(*known) for known in told} == told


def test_every_stop_of_the_review_is_a_rejection_with_a_row_of_its_own():
    codes = [f"SC:{number:04}" for number in range(1, 19)]
    rows = [lookup("huawei", code) for code in codes]
    assert [row and (row.code, row.status) for row in rows] == [(code, Status.REJECTED) for code in codes]


SPELT_TWICE = [
    ("cloudsms", "0x10000001", "268435457", "rejected/not_permitted"),
    ("cloudsms", "0x10000003", "268435459", "rejected/content_rejected"),
    ("cloudsms", "0x10000004", "268435460", "rejected/platform_error"),
    ("cloudsms", "0x10000006", "268435462", "rejected/blocked"),
    ("cloudsms", "0x1000000D", "268435469", "rejected/not_permitted"),
    ("cloudsms", "0x10000010", "268435472", "rejected/not_permitted"),
    # Its document misprints this one.
    ("cloudsms", "0x1000000D", "0x100000D", "rejected/not_permitted"),
    # A range in the published table is there number by number too, for no report says `128-255`.
    ("tencent", "128-255", "150", "undeliverable/carrier_error"),
    # A spreadsheet took these for a time of day: 0.103472 are 149 of its 1,440 minutes.
    ("tencent", "0.103472", "2:29", "undeliverable/invalid_number"),
    ("tencent", "0.150694444", "3:37", "rejected/blocklisted"),
]


@pytest.mark.parametrize(("provider", "one", "other", "expected"), SPELT_TWICE)
def test_a_code_with_two_spellings_is_found_by_both(provider, one, other, expected):
    assert outcome(provider, one) == outcome(provider, other) == expected


def test_what_looks_alike_is_told_apart():
    assert outcome("cloudsms", "3") == "expired/expired", "a small decimal is a message state"
    assert outcome("cloudsms", "0x03") == "rejected/platform_error", "and never a result code"
    assert outcome("tencent", "253") == "undeliverable/unreachable", "within a range, with a row of its own"
    reasons = [(row.provider, row.reason) for row in find("BEYONDN")]
    assert reasons == [("huawei", Reason.RATE_LIMITED), ("tencent", Reason.CARRIER_ERROR)]
    for code in ("E200038", "MILIMIT", "-3"):
        assert outcome("huawei", code) != outcome("tencent", code)


# How a code finds its row: exactly for a report, and in any case for a person.


def test_a_pattern_holds_for_a_code_that_has_no_row_and_not_beyond_its_colon():
    for pattern in (row for row in entries() if row.code.endswith(":*")):
        prefix = pattern.code.removesuffix(":*")
        assert lookup(pattern.provider, f"{prefix}:zzzz") is pattern
        assert lookup(pattern.provider, f"{prefix}zzzz") is None


LONGEST_FIRST = "A:*\tdeleted\tunknown\tm\ta\nA:B:*\texpired\texpired\tm\ta\nA:B:C\tdelivered\t\tm\ta\n"
NO_PATTERNS = "REJECTD*704\trejected\tblocked\tm\ta\nA*\trejected\tblocked\tm\ta\n"


@pytest.mark.parametrize(("rows", "patterns"), [(LONGEST_FIRST, ["A:B:", "A:"]), (NO_PATTERNS, [])])
def test_the_longest_pattern_wins_and_an_asterisk_elsewhere_is_none(rows, patterns):
    table = catalogue._index(parse("x", (HEADER + rows).encode()))
    assert [prefix for prefix, _ in table.patterns] == patterns


@pytest.mark.parametrize(
    ("provider", "code", "found"),
    [
        ("huawei", "MK:0001", "MK:*"),
        ("huawei", "MK:1004", "MK:1004"),
        ("tencent", "MN:0000", "MN:0000"),
        *(("huawei", code, None) for code in ("", " DELIVRD", "nobody has seen this", "MA", "*", "\ud800", "\x00")),
        *(("huawei", code, None) for code in ("delivrd", "Ma:0054", "e200027", "smecl:failed")),
        ("nobody", "DELIVRD", None),
    ],
)
def test_a_report_is_looked_up_as_it_is_written_exactly_before_by_pattern(provider, code, found):
    row = lookup(provider, code)
    assert (row and row.code) == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (("e200027",), [("huawei", "E200027")]),
        (("delivrd",), [("huawei", "DELIVRD"), ("tencent", "DELIVRD")]),
        (("DELIVRD", "tencent"), [("tencent", "DELIVRD")]),
        (("DELIVRD", "nobody"), []),
        (("nobody has seen this",), []),
        (("ma:0054",), [("huawei", "MA:*"), ("tencent", "MA:0054")]),
        (("0X1000000d",), [("cloudsms", "0x1000000D")]),
        (("failedoperation.containsensitiveword",), [("tencent", "FailedOperation.ContainSensitiveWord")]),
    ],
)
def test_a_person_finds_a_code_however_its_letters_are_written(asked, found):
    assert [(row.provider, row.code) for row in find(*asked)] == found


@given(st.text(), st.sampled_from(["huawei", "cloudsms", "tencent", "nobody"]))
def test_no_text_makes_the_look_up_raise(code, provider):
    row = lookup(provider, code)
    assert row is None or row.code == code or code.startswith(row.code.removesuffix("*"))


@given(st.sampled_from(entries()))
def test_every_entry_is_found_under_its_own_code(row):
    assert lookup(row.provider, row.code) is row


def test_tencents_success_and_fail_decide_and_the_code_says_why():
    for row in (row for row in entries() if row.provider == "tencent"):
        cause = (Status.UNDELIVERABLE, Reason.UNKNOWN) if row.reason is None else (row.status, row.reason)
        assert tencent.outcome("FAIL", row.code) == cause
        assert tencent.outcome("SUCCESS", row.code) == (Status.DELIVERED, None)
        assert tencent.outcome("PENDING", row.code) == tencent.outcome(None, row.code) == (Status.UNKNOWN, None)


# What the schema refuses.


@pytest.mark.parametrize(
    ("rows", "line", "complaint"),
    [
        ("A\tdead\tunknown\tm\ta\n", 2, "status: Input should be"),
        ("A\tDELIVERED\t\tm\ta\n", 2, "status: Input should be"),
        ("A\texpired\tlate\tm\ta\n", 2, "reason: Input should be"),
        ("A\texpired\t\tm\ta\n", 2, "expired needs a reason"),
        ("A\tdelivered\tunknown\tm\ta\n", 2, "delivered takes no reason"),
        ("A\taccepted\tunknown\tm\ta\n", 2, "accepted takes no reason"),
        ("\tdelivered\t\tm\ta\n", 2, "code: Value error, must be one line"),
        ("A\tdelivered\t\t\ta\n", 2, "meaning: Value error, must be one line"),
        ("A\tdelivered\t\tm\ta \n", 2, "advice: Value error, must be one line"),
        ("A\tdelivered\t\tm\ta\r\n", 2, "advice: Value error, must be one line"),
        ("A\tdelivered\t\tm\n", 2, "4 cells under 5 columns"),
        ("A\tdelivered\t\tm\ta\tany\n", 2, "6 cells under 5 columns"),
        ("A\tdelivered\t\tm\ta\n\nB\tdelivered\t\tm\ta\n", 3, "1 cells under 5 columns"),
        ("A\tdelivered\t\tm\ta\nA\tdelivered\t\tm\ta\n", 3, "'A' stands in the table already"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(rows: str, line: int, complaint: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        parse("somebody", (HEADER + rows).encode())
    assert str(caught.value).startswith(f"somebody.tsv, line {line}: ")
    assert complaint in str(caught.value)


def test_a_bad_header_is_named() -> None:
    for header in ("", "code\tstatus\n", HEADER.upper(), "\ufeff" + HEADER, "code,status\n"):
        with pytest.raises(CatalogueError, match=r"^somebody\.tsv, line 1: the header is"):
            parse("somebody", header.encode())


def test_bytes_that_are_not_utf8_are_named() -> None:
    with pytest.raises(CatalogueError, match=r"^somebody\.tsv, line 2: 'utf-8' codec"):
        parse("somebody", HEADER.encode() + b"A\tdelivered\t\t\xff\ta\n")


def test_carriers_are_an_optional_column() -> None:
    table = HEADER.replace("advice", "advice\tcarriers") + "A\tdelivered\t\tm\ta\tany\n"
    (row,) = parse("somebody", table.encode())
    assert row == Code("somebody", "A", Status.DELIVERED, None, "m", "a", "any")
