"""What the README and the page of settings say is what there is."""

import re
from pathlib import Path

from support.pages import page
from support.settings_table import TO_KNOW, tables

from receiver.cli import main
from receiver.pull.wiring import VARIABLES

README = page("README.md")
SETTINGS = page("docs/settings.md")


def test_the_tables_of_settings_are_the_settings() -> None:
    to_know, tuning = tables()
    assert f"{to_know}\n" in SETTINGS
    assert f"{tuning}\n" in SETTINGS
    assert len(TO_KNOW) == 16


def test_the_table_of_pulling_has_every_variable() -> None:
    assert set(re.findall(r"^\| `(RECEIVER_\w+)`", page("docs/pulling.md"), re.MULTILINE)) == set(VARIABLES)


def test_every_command_is_explained() -> None:
    assert set(re.findall(r"^\| `receiver ([a-z-]+)", README, re.MULTILINE)) == set(main.commands)


def test_every_page_is_linked() -> None:
    pages = {path.name for path in (Path(__file__).parents[2] / "docs").glob("*.md")}
    assert set(re.findall(r"\]\(docs/([a-z]+\.md)\)", README)) == pages
