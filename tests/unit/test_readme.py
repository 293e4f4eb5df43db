"""What the README says about settings and commands is what there is."""

import re
from pathlib import Path

from support.settings_table import markdown_table

from receiver.cli import main

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_table_of_settings_is_the_settings() -> None:
    assert markdown_table() in README


def test_every_command_is_explained() -> None:
    assert set(re.findall(r"^\| `receiver ([a-z-]+)", README, re.MULTILINE)) == set(main.commands)


def test_every_page_that_is_linked_is_there() -> None:
    pages = re.findall(r"\]\(([a-zA-Z/._-]+\.md)\)", README)
    assert [page for page in pages if not (Path(__file__).parents[2] / page).exists()] == []
