"""What the pages tell people to type and to follow is there."""

import re
from pathlib import Path

import click
from support.command import commands
from support.pages import PAGES, ROOT, page

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
    for name in PAGES:
        for words, options in typed(name):
            command = found(words)
            assert command is not None, f"{name}: {words}"
            known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
            assert options - known == set(), f"{name}: {words}"


def test_commands_are_found_on_the_pages() -> None:
    assert {words for name in PAGES for words, _ in typed(name)} >= {"migrate", "maintain", "rejected replay", "spool"}


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
