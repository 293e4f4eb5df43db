"""The units of deploy/systemd, read as far as the tests ask."""

import shutil
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "systemd"
INSTALLED: Final = "/opt/receiver/bin/receiver"
HARDENING: Final = "# --- hardening\n"


def settings(unit: str) -> dict[str, list[str]]:
    """Every value of every key, in order, whichever the section."""
    pairs = (line.split("=", 1) for line in _text(unit).splitlines() if "=" in line and line[0] not in "#;")
    found: dict[str, list[str]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found


def hardening(unit: str) -> str:
    """What confines the process."""
    return _text(unit).split(HARDENING)[1].split("[Install]")[0].strip()


def environment(unit: str, **specifiers: str) -> dict[str, str]:
    """What the unit itself sets, with `%S` and the like replaced."""
    text = " ".join(settings(unit).get("Environment", []))
    for letter, value in specifiers.items():
        text = text.replace(f"%{letter}", value)
    return dict(pair.split("=", 1) for pair in text.split())


def installed_at(program: Path, folder: Path) -> list[Path]:
    """Copies of all units, for a receiver that is somewhere else."""
    copies = []
    for file in sorted(file for file in FOLDER.iterdir() if file.suffix in {".service", ".timer"}):
        copy = Path(shutil.copy(file, folder))
        copy.write_text(file.read_text(encoding="utf-8").replace(INSTALLED, str(program)), encoding="utf-8")
        copies.append(copy)
    return copies


def _text(unit: str) -> str:
    return (FOLDER / unit).read_text(encoding="utf-8")
