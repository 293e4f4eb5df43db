"""The threat model names for each threat tests that there are."""

import re

import pytest
from support.pages import ROOT, page

PAGE = page("docs/security.md")
HEAD = "| threat | what stands against it | setting | test |"
_NAMED = re.compile(r"`(\w+/test_\w+\.py)`([^`|]+)")


def threats() -> list[list[str]]:
    """The rows of all tables of threats, by cell."""
    tables = re.findall(rf"^{re.escape(HEAD)}\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for table in tables for line in table.splitlines()]


@pytest.mark.parametrize("row", threats(), ids=lambda row: row[0])
def test_a_threat_is_covered_by_tests_that_there_are(row: list[str]) -> None:
    threat, against, _, tests = row
    assert threat
    assert against
    named = [
        (file, words.strip()) for file, said in _NAMED.findall(tests) for words in said.split(";") if words.strip()
    ]
    assert named
    for file, words in named:
        assert f"def test_{words.replace(' ', '_')}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")


def test_no_threat_is_left_out_of_the_tables() -> None:
    assert PAGE.count(HEAD) == len(re.findall(r"^### ", PAGE, re.MULTILINE))
    assert len(threats()) > 20
