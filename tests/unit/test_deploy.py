"""What an operator copies from deploy/ names settings that there are."""

import os
import re
import stat
import subprocess

import pytest
from support.command import CHECKOUT

from receiver.pull import wiring
from receiver.settings import PREFIX, Settings, SettingsError, load, variable

FOLDER = CHECKOUT / "deploy"
GENERATED = FOLDER / "share"
FILES = [
    str(file.relative_to(FOLDER))
    for file in sorted(FOLDER.rglob("*"))
    if file.is_file() and file.suffix != ".txt" and GENERATED not in file.parents
]
SECRET = re.compile(r"(?:URL|TOKENS?|PASSWORD|PUSH_KEYS|SECRET_KEY)$")
NAME = re.compile(r"\bRECEIVER_[A-Z][A-Z_]*[A-Z]\b(?!_?\*)")


def test_every_setting_that_is_named_exists() -> None:
    known = {variable(field) for field in Settings.model_fields} | set(wiring.VARIABLES)
    named = {name: set(NAME.findall((FOLDER / name).read_text(encoding="utf-8"))) for name in FILES}
    assert {name: unknown for name, settings in named.items() if (unknown := settings - known)} == {}


def shipped(name: str) -> dict[str, str]:
    """What a file sets, by variable; what it only proposes, behind a `#`, too."""
    found = re.findall(r"^\s*#?(\w+)(?:=|: +)(.*)$", (FOLDER / name).read_text(encoding="utf-8"), re.MULTILINE)
    return {variable: value for variable, value in found if SECRET.search(variable)}


def test_no_secret_is_shipped_and_no_receiver_starts_with_what_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (name for name in FILES if name.endswith((".env", ".example", "settings.yaml"))):
        secrets = shipped(name)
        assert secrets, name
        assert [variable for variable, value in secrets.items() if "CHANGE-ME" not in value] == [], name
        for name_of, value in secrets.items():
            if name_of.startswith(PREFIX):
                with monkeypatch.context() as patch:
                    patch.setenv(name_of, value)
                    with pytest.raises(SettingsError, match=f"^{name_of}: still says CHANGE-ME"):
                        load()


@pytest.mark.parametrize("name", shipped("container/database.env.example"))
def test_no_database_is_made_with_what_is_shipped(name: str) -> None:
    """Before it asks for PostgreSQL, which is not there."""
    environ = {"PATH": os.environ["PATH"], name: "change-me-please"}
    script = [FOLDER / "container" / "database.sh"]
    ended = subprocess.run(script, env=environ, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"{name}: still says CHANGE-ME")


def test_what_is_run_by_its_name_can_be() -> None:
    assert (FOLDER / "container" / "database.sh").stat().st_mode & stat.S_IXUSR
