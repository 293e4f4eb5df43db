"""Where everything of the embedded PostgreSQL lies, and the URL that follows from it."""

import re
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

DATABASE: Final = "receiver"
SUPERUSER: Final = "postgres"
PORT: Final = 5432
"""No TCP port: it only names the socket file. In the URL all the same, or a PGPORT in the shell would win."""

MAX_SOCKET_PATH: Final = 107
"""Bytes: `sun_path` of unix(7), less its closing zero."""

_PLAIN_PATH: Final = re.compile(r"[\w/.+~-]+", re.ASCII)
"""Paths that a URL, libpq's list of hosts and PostgreSQL's list of socket folders all read alike."""

_SHORT_PARENT: Final = Path("/tmp")  # noqa: S108 - the folder below it is private, and its owner is verified
"""Not TMPDIR or XDG_RUNTIME_DIR: the service and a psql in another session must come to the same name."""


class Layout(NamedTuple):
    """The paths in one data folder, all absolute and without symbolic links."""

    folder: Path
    pgdata: Path
    log: Path
    lock: Path
    sockets: Path


def layout_of(data_dir: Path) -> Layout:
    """Reads symbolic links, changes nothing; the folder need not exist."""
    folder = data_dir.resolve()
    return Layout(
        folder=folder,
        pgdata=folder / "postgresql",
        log=folder / "postgresql.log",
        lock=folder / "receiver.lock",
        sockets=_socket_folder(folder),
    )


def socket_file(layout: Layout) -> Path:
    """The name is PostgreSQL's own."""
    return layout.sockets / f".s.PGSQL.{PORT}"


def database_url(data_dir: Path) -> str:
    """The URL for psql and asyncpg alike, whether or not the server runs."""
    sockets = layout_of(data_dir).sockets
    return f"postgresql://{SUPERUSER}@/{DATABASE}?host={sockets}&port={PORT}"


def _socket_folder(folder: Path) -> Path:
    """`run/` in the data folder; where that is too long or has odd letters, one in /tmp named by a hash."""
    inside = folder / "run"
    length = len(bytes(inside / f".s.PGSQL.{PORT}"))
    if length <= MAX_SOCKET_PATH and _PLAIN_PATH.fullmatch(str(inside)):
        return inside
    return _SHORT_PARENT / f"receiver-{blake2b(bytes(folder), digest_size=12).hexdigest()}"
