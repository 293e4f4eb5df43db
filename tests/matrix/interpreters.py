"""The Pythons of this machine: those on the PATH, and those of pyenv."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

VERSIONS: Final = ("3.11", "3.12", "3.13")
"""What `requires-python` and the classifiers of pyproject.toml promise."""

_TELL: Final = "import sys; print('%d.%d' % sys.version_info[:2])"


def found() -> dict[str, Path]:
    """An interpreter of each version that there is one of."""
    return {version: path for version in VERSIONS if (path := _find(version)) is not None}


def _find(version: str) -> Path | None:
    return next((path for path in _candidates(version) if _version_of(path) == version), None)


def _candidates(version: str) -> list[Path]:
    name = f"python{version}"
    on_path = [Path(path)] if (path := shutil.which(name)) else []
    return [*on_path, *sorted(_pyenv().glob(f"versions/{version}.*/bin/{name}"), reverse=True)]


def _pyenv() -> Path:
    return Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")


def _version_of(path: Path) -> str | None:
    """None for one that does not run: pyenv puts a shim on the PATH for every version that it knows."""
    told = subprocess.run([path, "-c", _TELL], capture_output=True, text=True, check=False, timeout=60)
    return told.stdout.strip() if told.returncode == 0 else None
