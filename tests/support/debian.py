"""Programs of Debian's packages, unpacked into .venv: nothing of the machine is changed, no service is started."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

_FETCHED: Final = Path(__file__).parents[2] / ".venv" / "debian"
_TIMEOUT_S: Final = 300
LIBRARIES: Final = ("usr/lib/*-linux-gnu", "lib/*-linux-gnu", "usr/lib/*-linux-gnu/systemd")


class NotAvailableError(Exception):
    """The program is not installed, and Debian's package of it cannot be had here."""


def command(program: str, *packages: str) -> list[str]:
    """How to call a program: the machine's own, else that of Debian's `packages` (of its libraries too, by name).

    Raises NotAvailableError.
    """
    if installed := shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"):
        return [installed]
    folder = unpacked(program, packages)
    found = [path for place in ("usr/bin", "usr/sbin", "bin", "sbin") if (path := folder / place / program).exists()]
    if not found:
        raise NotAvailableError(f"{' '.join(packages)}: has no program {program}")
    libraries = ":".join(str(path) for place in LIBRARIES for path in folder.glob(place))
    return ["/usr/bin/env", f"LD_LIBRARY_PATH={libraries}", str(found[0])]


def unpacked(program: str, packages: tuple[str, ...]) -> Path:
    """The folder with what is in the packages. Raises NotAvailableError."""
    folder = _FETCHED / program
    if folder.is_dir():
        return folder
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise NotAvailableError(f"{program} is needed: install {' '.join(packages)}")
    fresh = _FETCHED / f"{program}.{os.getpid()}"
    fresh.mkdir(parents=True)
    try:
        _download(fresh, packages)
        for package in fresh.glob("*.deb"):
            _run("dpkg", "--extract", str(package), str(fresh), folder=fresh)
            package.unlink()
        # In one step, so that what was cut off half-way is never taken for the whole.
        fresh.rename(folder)
    except (subprocess.SubprocessError, OSError) as error:
        if not folder.is_dir():
            raise NotAvailableError(f"{program} is needed, not to be had: install {' '.join(packages)}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def _download(folder: Path, packages: tuple[str, ...]) -> None:
    try:
        _run("apt-get", "--quiet=2", "download", *packages, folder=folder)
    except subprocess.CalledProcessError:
        # A fresh image has no package lists; only root may fetch them.
        _run("apt-get", "--quiet=2", "update", folder=folder)
        _run("apt-get", "--quiet=2", "download", *packages, folder=folder)


def _run(*args: str, folder: Path) -> None:
    subprocess.run(args, cwd=folder, check=True, timeout=_TIMEOUT_S, stdout=subprocess.DEVNULL)
