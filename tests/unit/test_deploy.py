"""What an operator copies from deploy/ names settings that there are."""

import re
import stat

import pytest
from support.command import CHECKOUT

from receiver.pull import wiring
from receiver.settings import Settings, variable

FOLDER = CHECKOUT / "deploy"
FILES = [
    str(file.relative_to(FOLDER)) for file in sorted(FOLDER.rglob("*")) if file.is_file() and file.suffix != ".txt"
]
NAME = re.compile(r"\bRECEIVER_[A-Z][A-Z_]*[A-Z]\b(?!_?\*)")


@pytest.mark.parametrize("name", FILES)
def test_every_setting_that_is_named_exists(name: str) -> None:
    known = {variable(field) for field in Settings.model_fields} | set(wiring.VARIABLES)
    assert set(NAME.findall((FOLDER / name).read_text(encoding="utf-8"))) <= known


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith((".env", ".example"))])
def test_no_secret_is_shipped(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    secrets = re.findall(r"^\w*(?:URL|TOKENS?|PASSWORD)=(.*)$", text, re.MULTILINE)
    assert secrets
    assert [secret for secret in secrets if "CHANGE-ME" not in secret] == []


def test_what_is_run_by_its_name_can_be() -> None:
    assert (FOLDER / "container" / "database.sh").stat().st_mode & stat.S_IXUSR
