"""How a code finds its row in the tables: exactly for a report, and in any case for a person."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver import catalogue
from receiver.catalogue import Code, entries, find, lookup, parse

HEADER = "code\tstatus\treason\tmeaning\tadvice\n"
PATTERNS = [row for row in entries() if row.code.endswith(":*")]


def test_a_pattern_holds_for_a_code_that_has_no_row_and_not_beyond_its_colon() -> None:
    for pattern in PATTERNS:
        prefix = pattern.code.removesuffix(":*")
        assert lookup(pattern.provider, f"{prefix}:zzzz") is pattern
        assert lookup(pattern.provider, f"{prefix}zzzz") is None


def test_an_exact_row_goes_before_a_pattern() -> None:
    for provider, code, found in (
        ("huawei", "MK:0001", "MK:*"),
        ("huawei", "MK:1004", "MK:1004"),
        ("tencent", "MN:0000", "MN:0000"),
    ):
        row = lookup(provider, code)
        assert row is not None
        assert row.code == found


def test_the_longest_pattern_wins() -> None:
    text = HEADER + "A:*\tdeleted\tunknown\tm\ta\nA:B:*\texpired\texpired\tm\ta\nA:B:C\tdelivered\t\tm\ta\n"
    table = catalogue._index(parse("x", text.encode()))
    assert [prefix for prefix, _ in table.patterns] == ["A:B:", "A:"]


def test_an_asterisk_elsewhere_is_no_pattern() -> None:
    text = HEADER + "REJECTD*704\trejected\tblocked\tm\ta\nA*\trejected\tblocked\tm\ta\n"
    assert catalogue._index(parse("x", text.encode())).patterns == ()


def test_what_nobody_has_listed_has_no_row() -> None:
    for code in ("", " DELIVRD", "nobody has seen this", "MA", "*", "\ud800", "\x00"):
        assert lookup("huawei", code) is None, code
        assert find(code) == []


def test_a_report_is_looked_up_as_it_is_written() -> None:
    codes = ("delivrd", "Ma:0054", "e200027", "smecl:failed")
    assert [lookup("huawei", code) for code in codes] == [None] * len(codes)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("e200027", [("huawei", "E200027")]),
        ("delivrd", [("huawei", "DELIVRD"), ("tencent", "DELIVRD")]),
        ("ma:0054", [("huawei", "MA:*"), ("tencent", "MA:0054")]),
        ("0X1000000d", [("cloudsms", "0x1000000D")]),
        ("failedoperation.containsensitiveword", [("tencent", "FailedOperation.ContainSensitiveWord")]),
        ("88", [("huawei", "88"), ("tencent", "88")]),
    ],
)
def test_a_person_finds_a_code_however_its_letters_are_written(asked: str, found: list[tuple[str, str]]) -> None:
    assert [(row.provider, row.code) for row in find(asked)] == found


def test_no_two_codes_of_a_table_differ_by_case_alone() -> None:
    assert len({(row.provider, row.code.casefold()) for row in entries()}) == len(entries())


def test_a_provider_without_a_table_has_no_codes() -> None:
    assert lookup("nobody", "DELIVRD") is None
    assert find("DELIVRD", "nobody") == []


def test_find_asks_every_provider_or_one() -> None:
    assert [row.provider for row in find("DELIVRD")] == ["huawei", "tencent"]
    assert [row.provider for row in find("DELIVRD", "tencent")] == ["tencent"]
    assert [row.code for row in find("MA:0001")] == ["MA:*", "MA:0001"]


@given(st.text(), st.sampled_from(["huawei", "cloudsms", "tencent", "nobody"]))
def test_no_text_makes_the_look_up_raise(code: str, provider: str) -> None:
    row = lookup(provider, code)
    assert row is None or row.code == code or code.startswith(row.code.removesuffix("*"))


@given(st.sampled_from(entries()))
def test_every_entry_is_found_under_its_own_code(row: Code) -> None:
    assert lookup(row.provider, row.code) is row
