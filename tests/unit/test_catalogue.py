"""The code tables: what they hold, and what their schema refuses."""

import csv
from collections import Counter
from importlib import resources

import pytest

from receiver import catalogue
from receiver.catalogue import CatalogueError, Code, entries, find, fingerprint, lookup, parse
from receiver.report import FINAL, Reason, Status

HEADER = "code\tstatus\treason\tmeaning\tadvice\n"


def outcome(provider: str, code: str) -> str:
    """`status` or `status/reason` of a code, short enough for a table of expectations."""
    row = lookup(provider, code)
    if row is None:
        return "none"
    return row.status if row.reason is None else f"{row.status}/{row.reason}"


# What the tables hold.


def test_every_provider_is_a_file_and_every_row_of_a_file_is_an_entry() -> None:
    files = {
        file.name.removesuffix(".tsv"): file.read_text(encoding="utf-8").splitlines()
        for file in resources.files(catalogue).iterdir()
        if file.name.endswith(".tsv")
    }
    assert Counter(row.provider for row in entries()) == {name: len(lines) - 1 for name, lines in files.items()}
    for name, lines in files.items():
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        assert [row["code"] for row in rows] == [row.code for row in entries() if row.provider == name]


def test_the_tables_are_complete() -> None:
    counts = Counter(row.provider for row in entries())
    assert counts["huawei"] == 144
    assert counts["cloudsms"] == 36
    assert counts["tencent"] == 1969 + 124 + 11, "the published codes, the ones they stand for, and refusals to send"


def test_every_failure_has_a_reason_and_nothing_else_has() -> None:
    for row in entries():
        assert row.final == (row.status in FINAL)
        assert row.status is not Status.UNKNOWN, "that is the status of a code without a row"
        assert (row.reason is not None) == (row.final and row.status is not Status.DELIVERED), row


def test_meaning_and_advice_are_one_short_sentence_each() -> None:
    for row in entries():
        for text in (row.meaning, row.advice):
            assert text[0].isupper(), row
            assert text.endswith("."), row
            assert ". " not in text, row
            assert len(text) <= 140, row


def test_every_reason_is_in_use() -> None:
    assert {row.reason for row in entries()} == {*Reason, None}


def test_carriers_stand_beside_the_codes_of_the_table_that_has_them() -> None:
    assert {row.carriers for row in entries() if row.provider == "tencent"} == {
        "any",
        "china-mobile",
        "china-telecom",
        "china-unicom",
    }
    assert {row.carriers for row in entries() if row.provider != "tencent"} == {None}


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


def test_every_stop_of_the_review_is_a_rejection_with_a_row_of_its_own() -> None:
    codes = [f"SC:{number:04}" for number in range(1, 19)]
    rows = [lookup("huawei", code) for code in codes]
    assert [row and (row.code, row.status) for row in rows] == [(code, Status.REJECTED) for code in codes]


def test_a_large_result_code_is_found_in_hex_and_in_decimal() -> None:
    for result, expected in {
        "0x10000001": "rejected/not_permitted",
        "0x10000003": "rejected/content_rejected",
        "0x10000004": "rejected/platform_error",
        "0x10000006": "rejected/blocked",
        "0x1000000D": "rejected/not_permitted",
        "0x10000010": "rejected/not_permitted",
    }.items():
        assert outcome("cloudsms", result) == outcome("cloudsms", str(int(result, 16))) == expected, result


def test_a_small_decimal_is_a_message_state_and_never_a_result_code() -> None:
    assert outcome("cloudsms", "3") == "expired/expired"
    assert outcome("cloudsms", "0x03") == "rejected/platform_error"


def test_the_result_code_that_its_document_misprints_is_found_as_printed() -> None:
    assert outcome("cloudsms", "0x100000D") == outcome("cloudsms", "0x1000000D")


def test_one_code_means_different_things_at_different_providers() -> None:
    assert [(row.provider, row.reason) for row in find("BEYONDN")] == [
        ("huawei", Reason.RATE_LIMITED),
        ("tencent", Reason.CARRIER_ERROR),
    ]
    assert outcome("huawei", "E200038") != outcome("tencent", "E200038")
    assert outcome("huawei", "MILIMIT") != outcome("tencent", "MILIMIT")
    assert outcome("huawei", "-3") != outcome("tencent", "-3")


def test_a_range_in_the_published_table_is_also_there_number_by_number() -> None:
    """`128-255` and the like are rows of that table, but no report says `128-255`."""
    assert outcome("tencent", "128-255") == outcome("tencent", "150") == "undeliverable/carrier_error"
    assert outcome("tencent", "253") == "undeliverable/unreachable", "a number with a row of its own keeps it"


def test_a_code_that_a_spreadsheet_took_for_a_time_of_day_is_there_as_it_was() -> None:
    """The published table has 0.103472 for `2:29`: 149 of the day's 1,440 minutes."""
    assert outcome("tencent", "0.103472") == outcome("tencent", "2:29") == "undeliverable/invalid_number"
    assert outcome("tencent", "0.150694444") == outcome("tencent", "3:37") == "rejected/blocklisted"


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
