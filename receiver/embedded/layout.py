"""Paths of the embedded PostgreSQL, and the URL that follows from them."""

import re
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

DATABASE: Final = "receiver"
SUPERUSER: Final = "postgres"
PORT: Final = 5432
"""Names the socket file; no TCP port is open. The URL has it all the same, or PGPORT in a shell would win."""

MAX_SOCKET_PATH: Final = 107
"""Bytes: `sun_path` of unix(7) less its terminating zero."""

_PLAIN_PATH: Final = re.compile(r"[\w/.+~-]+", re.ASCII)
"""Paths that mean the same in a URL, in libpq's list of hosts and in PostgreSQL's list of socket folders."""

_SHORT_PARENT: Final = Path("/tmp")  # noqa: S108 - the folder below it is private, and its owner is verified
"""Not TMPDIR or XDG_RUNTIME_DIR: the service and a psql in another session must find the same folder."""


class Layout(NamedTuple):
    """The paths in one data folder, all absolute and without symbolic links."""

    folder: Path
    pgdata: Path
    log: Path
    lock: Path
    sockets: Path


def layout_of(data_dir: Path) -> Layout:
    """Paths for this data folder, symbolic links resolved; the folder need not exist, and nothing is changed."""
    folder = data_dir.resolve()
    return Layout(
        folder=folder,
        pgdata=folder / "postgresql",
        log=folder / "postgresql.log",
        lock=folder / "receiver.lock",
        sockets=_socket_folder(folder),
    )


def socket_file(layout: Layout) -> Path:
    """The socket, by PostgreSQL's own naming rule."""
    return layout.sockets / f".s.PGSQL.{PORT}"


def database_url(data_dir: Path) -> str:
    """URL for psql and asyncpg, whether or not the server runs."""
    sockets = layout_of(data_dir).sockets
    return f"postgresql://{SUPERUSER}@/{DATABASE}?host={sockets}&port={PORT}"


def _socket_folder(folder: Path) -> Path:
    """`run/` in the data folder; if its path is too long or has special characters, one in /tmp named by a hash."""
    inside = folder / "run"
    length = len(bytes(inside / f".s.PGSQL.{PORT}"))
    if length <= MAX_SOCKET_PATH and _PLAIN_PATH.fullmatch(str(inside)):
        return inside
    return _SHORT_PARENT / f"receiver-{blake2b(bytes(folder), digest_size=12).hexdigest()}"
