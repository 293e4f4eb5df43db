"""Programs of Debian's packages, unpacked into .venv: nothing of the machine is changed, no service is started."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from support.turns import turn

_FETCHED: Final = Path(__file__).parents[2] / ".venv" / "debian"
_TIMEOUT_S: Final = 300
LIBRARIES: Final = (
    "usr/lib/*-linux-gnu",
    "lib/*-linux-gnu",
    "usr/lib/*-linux-gnu/systemd",
    "usr/lib/*-linux-gnu/pulseaudio",
)


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
    return ["/usr/bin/env", f"LD_LIBRARY_PATH={library_path(folder)}", str(found[0])]


def library_path(folder: Path) -> str:
    """LD_LIBRARY_PATH for a program of unpacked packages."""
    return ":".join(str(path) for place in LIBRARIES for path in folder.glob(place))


def missing_packages(*packages: str) -> tuple[str, ...]:
    """The packages and all that they depend on, but for what is installed. Raises NotAvailableError."""
    with turn(_FETCHED):
        return _missing(packages)


def _missing(packages: tuple[str, ...]) -> tuple[str, ...]:
    simulate = ("apt-get", "--simulate", "--no-install-recommends", "install", *packages)
    for again in (False, True):
        try:
            if again:  # a fresh image has no package lists; only root may fetch them
                subprocess.run(("apt-get", "--quiet=2", "update"), check=True, timeout=_TIMEOUT_S, capture_output=True)
            done = subprocess.run(simulate, check=True, timeout=_TIMEOUT_S, capture_output=True, text=True)
        except (subprocess.SubprocessError, OSError):
            continue
        return tuple(line.split()[1] for line in done.stdout.splitlines() if line.startswith("Inst "))
    raise NotAvailableError(f"not to be had here: install {' '.join(packages)}")


def fetched(program: str) -> Path | None:
    """The folder with what is in the program's packages, if they were unpacked before."""
    folder = _FETCHED / program
    return folder if folder.is_dir() else None


def unpacked(program: str, packages: tuple[str, ...]) -> Path:
    """The folder with what is in the packages. Raises NotAvailableError."""
    with turn(_FETCHED):
        return fetched(program) or _fetch(program, packages)


def _fetch(program: str, packages: tuple[str, ...]) -> Path:
    folder = _FETCHED / program
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
