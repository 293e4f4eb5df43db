"""Who runs PostgreSQL: ourselves, or, as it refuses root, an unprivileged account in root's stead."""

import errno
import os
import pwd
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen
from typing import IO, Final, NamedTuple

from receiver.embedded.errors import DataFolderError

_STAND_INS: Final = ("postgres", "nobody")


class Account(NamedTuple):
    """`drop`: we are root, and every child must be made this account's."""

    uid: int
    gid: int
    drop: bool


def account_for(pgdata: Path) -> Account:
    """As root: the owner of the data if there is one already, else `postgres`, else `nobody`."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), drop=False)
    if pgdata.exists():
        owner = pgdata.stat()
        if owner.st_uid == 0:
            raise DataFolderError(f"{pgdata} belongs to root, as whom PostgreSQL does not run: chown it.")
        return Account(owner.st_uid, owner.st_gid, drop=True)
    for name in _STAND_INS:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(user.pw_uid, user.pw_gid, drop=True)
    raise DataFolderError(
        "PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody' to run it as:"
        " add one, or run the receiver as an ordinary user."
    )


def spawn(command: Sequence[str | Path], account: Account, output: int | IO[bytes]) -> Popen[bytes]:
    """Start a program as `account`, in its own session: no Ctrl-C may reach it before the service drained.

    Not asyncio's subprocess: uvloop's knows no `user=`. In /, for ours may be closed to the account.
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
        user=account.uid if account.drop else None,
        group=account.gid if account.drop else None,
        extra_groups=[] if account.drop else None,
    )


def make_private(folder: Path, account: Account) -> None:
    """Make `folder` 0700 and the account's, or take it if it is ours already; never somebody else's."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    hand_over(folder, account)


def hand_over(folder: Path, account: Account) -> None:
    """Folder 0700, the account's. By descriptor: in /tmp its owner could swap it for a link meanwhile."""
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
        f" may not enter {closed}. Set RECEIVER_DATA_DIR to a folder that every user may enter,"
        " such as /var/lib/receiver."
    )


def may_enter(folder: Path, account: Account) -> bool:
    """Ask the kernel: to run an absent program fails by ENOENT where the account may pass, else by EACCES.

    The mode bits alone would not know about access lists, and nothing needs to be installed for this.
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
                " (no CAP_SETUID and CAP_SETGID): run the receiver as an ordinary user."
            ) from error
        return False
    return True


def _environment() -> Mapping[str, str]:
    """Little: PGPORT and its kind would change the server, and our tokens are none of its business."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "LC_ALL": "C.UTF-8"}
