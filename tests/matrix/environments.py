"""A virtual environment for each Python, with what .ci/requirements.txt pins."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from support.command import CHECKOUT

FOLDER: Final = CHECKOUT / ".matrix"
_UV: Final = (sys.executable, "-m", "uv")
_TIMEOUT_S: Final = 600


def made(version: str, interpreter: Path) -> Path:
    """The environment's own interpreter. CalledProcessError."""
    folder = FOLDER / version
    python = folder / "bin" / "python"
    _uv("venv", "--clear", "--seed", "--python", str(interpreter), str(folder))
    install = ("pip", "install", "--python", str(python))
    _uv(*install, "--require-hashes", "--requirement", ".ci/requirements.txt")
    _uv(*install, "--no-deps", "--no-build-isolation", "--editable", ".")
    return python


def _uv(*arguments: str) -> None:
    subprocess.run([*_UV, "--quiet", *arguments], cwd=CHECKOUT, check=True, timeout=_TIMEOUT_S)
