"""What the pages tell people to type, to follow and to rely on is there."""

import re
import tomllib
from pathlib import Path

import click
from matrix import interpreters, servers
from support.command import commands
from support.pages import PAGES, ROOT, page
from support.settings_table import TO_KNOW, tables

from receiver.embedded.binaries import MAJOR
from receiver.providers import ORIGINS
from receiver.pull.wiring import VARIABLES
from receiver.settings import Settings, variable

_TYPED = re.compile(
    r"(?:^    |`|&& |bin/)(?:RECEIVER_\w+=\S+ )*receiver ([a-z][a-z-]*(?: [a-z]+\b)?)([^`\n#]*)", re.MULTILINE
)
_LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
_FILE = re.compile(r"`((?:deploy|tests|receiver|migrations)/[\w./@-]+)`")


def typed(name: str) -> list[tuple[str, set[str]]]:
    """Each command of ours on a page: its words, and its options."""
    return [(words, set(re.findall(r"--[a-z-]+", rest))) for words, rest in _TYPED.findall(page(name))]


COMMANDS = commands()


def found(words: str) -> click.Command | None:
    """The command that is meant: what follows one without commands of its own is an argument."""
    first, _, rest = words.partition(" ")
    whole = COMMANDS.get(words)
    return whole if whole or isinstance(COMMANDS.get(first), click.Group) or not rest else COMMANDS.get(first)


def test_every_command_and_option_is_one() -> None:
    assert {words for name in PAGES for words, _ in typed(name)} >= {"migrate", "maintain", "rejected replay", "spool"}
    for name in PAGES:
        for words, options in typed(name):
            command = found(words)
            assert command is not None, f"{name}: {words}"
            known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
            assert options - known == set(), f"{name}: {words}"


def test_every_setting_is_one() -> None:
    known = {variable(field) for field in Settings.model_fields} | set(VARIABLES)
    said = {name: set(re.findall(r"\bRECEIVER_\w+", page(name))) for name in PAGES}
    assert {name: wrong for name, settings in said.items() if (wrong := settings - known)} == {}


def test_every_link_leads_somewhere() -> None:
    dead = []
    for name in PAGES:
        for target, anchor in _LINK.findall(page(name)):
            file = (ROOT / name).parent / target if target else ROOT / name
            if not file.exists() or (anchor and anchor not in anchors(file)):
                dead.append(f"{name}: {target}#{anchor}")
    assert dead == []


def anchors(file: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_every_file_that_is_named_is_there() -> None:
    assert [(name, file) for name in PAGES for file in _FILE.findall(page(name)) if not (ROOT / file).exists()] == []


def test_the_addresses_of_the_platforms_are_those_of_the_presets() -> None:
    told = set(re.findall(r"\b\d+\.\d+\.\d+\.\d+(?:/\d+)?", page("docs/providers.md")))
    assert told == {network for origin in ORIGINS.values() for network in origin.networks}


def test_the_tables_of_settings_and_of_commands_are_whole():
    for table in tables():
        assert f"{table}\n" in page("docs/settings.md")
    assert len(TO_KNOW) == 16
    assert set(re.findall(r"^\| `(RECEIVER_\w+)`", page("docs/pulling.md"), re.MULTILINE)) == set(VARIABLES)
    top = {path for path in COMMANDS if path and " " not in path}
    assert set(re.findall(r"^\| `receiver ([a-z-]+)", page("README.md"), re.MULTILINE)) == top
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert set(re.findall(r"\]\(docs/([a-z-]+\.md)\)", page("README.md"))) == pages


def test_the_pages_claim_to_run_on_what_the_matrix_runs_on():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    *others, newest = interpreters.VERSIONS
    versions = [f"Programming Language :: Python :: {version}" for version in interpreters.VERSIONS]
    assert [one for one in project["classifiers"] if "Python ::" in one] == versions
    assert project["requires-python"] == f">={others[0]}"
    assert f"Python {', '.join(others)} or {newest}" in page("README.md")
    assert f"PostgreSQL {servers.VERSION} to {MAJOR}" in page("deploy/postgresql/README.md")
    assert f"PostgreSQL {servers.VERSION} and {MAJOR}" in page("docs/operations.md")


HEAD = "| threat | what stands against it | setting | test |"
_NAMED = re.compile(r"`(\w+/test_\w+\.py)`([^`|]+)")


def threats() -> list[list[str]]:
    """The rows of all tables of threats, by cell."""
    found = re.findall(rf"^{re.escape(HEAD)}\n\|[-|]+\n((?:\|.*\n)+)", page("docs/security.md"), re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for table in found for line in table.splitlines()]


def test_every_threat_is_in_a_table_with_tests_that_there_are():
    assert page("docs/security.md").count(HEAD) == len(re.findall(r"^### ", page("docs/security.md"), re.MULTILINE))
    assert len(threats()) > 20
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
