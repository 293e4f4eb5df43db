"""The account that runs PostgreSQL: our own user, or for root, which PostgreSQL refuses, an unprivileged one."""

import errno
import os
import pwd
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen
from typing import IO, Final, NamedTuple

from receiver.embedded.errors import DataFolderError

_FALLBACK_USERS: Final = ("postgres", "nobody")

_PR_SET_PDEATHSIG: Final = 1


class Account(NamedTuple):
    """`drop`: we are root, and every child must change to this account."""

    uid: int
    gid: int
    drop: bool


def account_for(pgdata: Path) -> Account:
    """Our own user; as root, the owner of existing data, else `postgres`, else `nobody`. Raises DataFolderError."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), drop=False)
    if pgdata.exists():
        owner = pgdata.stat()
        if owner.st_uid == 0:
            raise DataFolderError(f"{pgdata} belongs to root, as whom PostgreSQL does not run: chown it")
        return Account(owner.st_uid, owner.st_gid, drop=True)
    for name in _FALLBACK_USERS:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(user.pw_uid, user.pw_gid, drop=True)
    raise DataFolderError(
        "PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody' to run it as:"
        " add one, or run the receiver as an ordinary user"
    )


def _load_prctl() -> Callable[..., object] | None:
    """The function prctl(2); None where there is none, or where the machine forbids what ctypes needs."""
    try:
        import ctypes  # noqa: PLC0415 - systemd's MemoryDenyWriteExecute may forbid it

        return ctypes.CDLL(None).prctl if sys.platform == "linux" else None
    except (ImportError, MemoryError, OSError):
        return None


_prctl: Final = _load_prctl()
"""Loaded before any fork: the child has only to call it."""


def spawn(command: Sequence[str | Path], account: Account, output: int | IO[bytes]) -> Popen[bytes]:
    """Start a program as `account`, in its own session: no Ctrl-C may reach it before the service has drained.

    On Linux it ends with us, however we end. Call it in the main thread: the kernel takes a thread's end for ours.
    Not by asyncio, as uvloop's subprocess has no `user=`. In `/`, as the account may be barred from our folder.
    """
    return Popen(  # noqa: S603 - our own programs, no shell, nothing from outside
        command,
        stdin=DEVNULL,
        stdout=output,
        stderr=STDOUT,
        cwd="/",
        env=_environment(),
        umask=0o077,
        start_new_session=True,
        preexec_fn=_end_with_parent,  # noqa: PLW1509 - it takes no lock and allocates nothing that a thread may hold
        user=account.uid if account.drop else None,
        group=account.gid if account.drop else None,
        extra_groups=[] if account.drop else None,
    )


def _end_with_parent() -> None:
    """In the child: have the kernel send it a SIGINT, PostgreSQL's fast shutdown, at the parent's death (prctl(2))."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)


def make_private(folder: Path, account: Account) -> None:
    """Make `folder` with mode 0700, owned by the account; an existing one must be ours. Raises DataFolderError."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    make_owned(folder, account)


def make_owned(folder: Path, account: Account) -> None:
    """Give the folder to the account, mode 0700. By descriptor: in /tmp a link could take its place meanwhile."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise DataFolderError(f"{folder} is not a folder of our own: remove it.") from error
    try:
        if os.fstat(fd).st_uid not in {account.uid, os.geteuid()}:
            raise DataFolderError(f"{folder} is not a folder of our own: remove it.")
        os.fchmod(fd, 0o700)
        if account.drop:
            os.fchown(fd, account.uid, account.gid)
    finally:
        os.close(fd)


def check_reach(folder: Path, account: Account) -> None:
    """Raise `DataFolderError` naming the first parent that the account may not enter."""
    if may_enter(folder, account):
        return
    closed = next(step for step in [*reversed(folder.parents), folder] if not may_enter(step, account))
    raise DataFolderError(
        f"PostgreSQL does not run as root, and the user it runs as (uid {account.uid})"
        f" may not enter {closed}: set a folder that every user may enter, such as /var/lib/receiver"
    )


def may_enter(folder: Path, account: Account) -> bool:
    """Ask the kernel: to run an absent program fails with ENOENT where the account may enter, else with EACCES.

    Mode bits alone would miss access control lists, and this needs no program of the system.
    """
    if not account.drop:
        return os.access(folder, os.X_OK)
    try:
        spawn([folder / ".absent"], account, DEVNULL).wait()
    except FileNotFoundError:
        return True
    except PermissionError as error:
        if error.errno == errno.EPERM:
            raise DataFolderError(
                "PostgreSQL does not run as root, and this root may not change its user"
                " (no CAP_SETUID and CAP_SETGID): run the receiver as an ordinary user"
            ) from error
        return False
    return True


def _environment() -> Mapping[str, str]:
    """A minimal environment: PGPORT and its like would change the server, and it must not see our tokens."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "LC_ALL": "C.UTF-8"}
