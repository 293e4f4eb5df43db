"""Checkers of other people's formats, pinned in .ci/system-requirements.txt, in an environment of their own."""

import json
import shutil
import subprocess
import sys
import venv
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from support.command import CHECKOUT
from support.turns import turn

_LOCK: Final = CHECKOUT / ".ci" / "system-requirements.txt"
_FOLDER: Final = CHECKOUT / ".venv" / "tools"
_INSTALL_S: Final = 600
_RUN_S: Final = 120
_AS_JSON: Final = "import json, sys, yaml; json.dump(list(yaml.safe_load_all(open(sys.argv[1]))), sys.stdout)"


def check(tool: str, *arguments: str | Path) -> str:
    """Run a tool, and return what it printed. AssertionError where it finds fault."""
    done = subprocess.run(
        [str(installed() / "bin" / tool), *map(str, arguments)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=_RUN_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def documents(file: Path) -> list[Any]:
    """Every document of a YAML file."""
    found: list[Any] = json.loads(check("python", "-c", _AS_JSON, file))
    return found


@cache
def installed() -> Path:
    """The environment; one for each state of the lock. Its scripts know their folder, so it is made in its place.

    Raises subprocess.SubprocessError where its packages are not to be had.
    """
    folder = _FOLDER / sha256(_LOCK.read_bytes()).hexdigest()[:16]
    whole = folder / "whole"
    with turn(_FOLDER):
        if not whole.exists():
            _make(folder)
            whole.touch()
    return folder


def _make(folder: Path) -> None:
    for before in _FOLDER.glob("*/"):
        shutil.rmtree(before, ignore_errors=True)
    venv.create(folder, symlinks=True)
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "--quiet", "--no-input")
    command = (*pip, "install", "--require-hashes", "--no-compile", "--requirement", _LOCK)
    subprocess.run(command, check=True, timeout=_INSTALL_S)
