"""The threat model names for each threat tests that there are."""

import re

from support.pages import ROOT, page

PAGE = page("docs/security.md")
HEAD = "| threat | what stands against it | setting | test |"
_NAMED = re.compile(r"`(\w+/test_\w+\.py)`([^`|]+)")


def threats() -> list[list[str]]:
    """The rows of all tables of threats, by cell."""
    tables = re.findall(rf"^{re.escape(HEAD)}\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for table in tables for line in table.splitlines()]


def test_a_threat_is_covered_by_tests_that_there_are() -> None:
    missing = []
    for threat, against, _, tests in threats():
        named = [(file, words.strip()) for file, said in _NAMED.findall(tests) for words in said.split(";")]
        named = [(file, words) for file, words in named if words]
        if not (threat and against and named):
            missing.append(f"{threat}: nothing stands against it, or no test")
        for file, words in named:
            code = ROOT / "tests" / file
            if not code.is_file() or f"def test_{words.replace(' ', '_')}(" not in code.read_text(encoding="utf-8"):
                missing.append(f"{threat}: {file} {words}")
    assert missing == []


def test_no_threat_is_left_out_of_the_tables() -> None:
    assert PAGE.count(HEAD) == len(re.findall(r"^### ", PAGE, re.MULTILINE))
    assert len(threats()) > 20
