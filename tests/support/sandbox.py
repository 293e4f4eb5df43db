"""A command as a container or a hardened unit runs it: unprivileged, on a read-only root.

It keeps one capability, to read: the Python that runs the tests may be in somebody's home.
"""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

_NOBODY: Final = 65_534
_TIMEOUT_S: Final = 30
_READ_ONLY: Final = 'mount --bind "$0" "$0" && mount -o remount,bind,ro / && exec "$@"'


class NoSandboxError(Exception):
    """This machine gives us no namespace of our own."""


def prefix(writable: Path) -> list[str]:
    """What to put before the command; it may write to this folder alone, which becomes its own.

    Raises NoSandboxError.
    """
    if not _possible():
        raise NoSandboxError("no mount namespace is to be had here")
    if os.geteuid() == 0:
        os.chown(writable, _NOBODY, _NOBODY)
    return _command(writable)


def _command(writable: Path) -> list[str]:
    root = os.geteuid() == 0
    unshare = ["unshare", "--mount"] if root else ["unshare", "--user", "--map-root-user", "--mount"]
    account = [f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"] if root else []
    capabilities = [f"--{kind}=-all,+dac_read_search" for kind in ("bounding-set", "inh-caps", "ambient-caps")]
    return [*unshare, "sh", "-c", _READ_ONLY, str(writable), "setpriv", *account, "--no-new-privs", *capabilities]


@cache
def _possible() -> bool:
    if not shutil.which("unshare") or not shutil.which("setpriv"):
        return False
    command = [*_command(Path("/usr")), "sh", "-c", "! touch /receiver-was-here"]
    return not subprocess.run(command, timeout=_TIMEOUT_S, check=False, capture_output=True).returncode
