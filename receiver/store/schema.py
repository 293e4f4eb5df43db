"""Schema migrations: Alembic orders them, and their contents are plain SQL."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import asyncpg

import receiver
from receiver.errors import OperatorError
from receiver.store import connecting, distributing, roles
from receiver.store.lock_waits import SET_TIMEOUT, with_patience
from receiver.store.racing import Refusal
from receiver.store.statements import statements
from receiver.store.told import UNTOLD, Told
from receiver.store.watching import Backend, watched

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

# Alembic and SQLAlchemy take longer to import than most commands take to run, so they are imported where they are used.
# ruff: noqa: PLC0415

VERSION_SCHEMA: Final = "sms_data"
_LOCK: Final = 0x5E6D_0DE1
"""Key of the advisory lock: one migration at a time on one database."""
_CONNECT_TIMEOUT_S: Final = 10
_LOCK_TIMEOUT_S: Final = 300
_HOLDER: Final = """
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND (classid::bigint << 32 | objid::bigint) = $1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


_COMPATIBLE_FROM: Final = "SELECT to_jsonb(v) ->> 'compatible_from' FROM sms_data.alembic_version AS v"
"""Null where no migration has told it."""


class SchemaBehindError(OperatorError):
    """The database's schema is older than this version needs, or so new that it cannot run on it."""


class MigrationError(OperatorError):
    """PostgreSQL refused a migration. All migrations are one transaction, which is rolled back."""


def folder() -> Path:
    """The folder of the migrations: inside the installed package, or beside it in a checkout."""
    package = Path(receiver.__file__).parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


async def connect(
    url: str, refused: Refusal | None = None, *, timeout_s: float = _CONNECT_TIMEOUT_S
) -> connecting.Connection:
    """A connection for commands and migrations, without a statement time-out; not for the write path.

    Raises Unsuitable or NoHost for a server that is `refused`.
    """
    if refused is None:
        return await connecting.connect(url, timeout_s=timeout_s)
    async with asyncio.timeout(timeout_s):
        connection = await connecting.connect(url, timeout_s=timeout_s, refused=refused)
        await connecting.judge(connection, refused)
    return connection


def run_script(name: str) -> None:
    """Execute a file of SQL statements inside the migration's transaction."""
    from alembic import op

    execute(op.get_bind(), name)


def execute(connection: "Connection", name: str) -> None:
    """Execute a file of SQL statements on SQLAlchemy's connection.

    One by one: of a string of several, Citus sends all to each shard.
    """
    from sqlalchemy import text

    script = (folder() / "sql" / name).read_text(encoding="utf-8")
    dbapi_connection: Any = connection.connection.dbapi_connection
    connection.execute(text("SELECT 1"))  # SQLAlchemy begins its transaction with its own first statement
    for statement in statements(script):
        dbapi_connection.run_async(methodcaller("execute", statement))


def head() -> str:
    """The revision that this version of the service needs."""
    revision = scripts().get_current_head()
    if revision is None:
        raise SchemaBehindError(f"there are no migrations in {folder()}")
    return revision


def compatible_from() -> str:
    """The oldest revision whose versions may run on a schema that is at `head()`: the migration there says so.

    An expansion names an older one. Without a word, only versions that know the migration itself may run.
    """
    script = scripts().get_revision(head())
    return str(getattr(script.module, "compatible_from", script.revision))


def scripts() -> "ScriptDirectory":
    """All migrations."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config())


async def current(connection: "asyncpg.Connection[asyncpg.Record]") -> str | None:
    """The revision that the database is at, None for an empty one."""
    if await connection.fetchval("SELECT to_regclass($1)", f"{VERSION_SCHEMA}.alembic_version") is None:
        return None
    revision: str | None = await connection.fetchval("SELECT version_num FROM sms_data.alembic_version")
    return revision


async def check(connection: "asyncpg.Connection[asyncpg.Record]") -> str:
    """The revision of the schema: `head()`, or a newer one on which this version may run.

    Raises SchemaBehindError, with what to do, for any other.
    """
    found, needed = await current(connection), head()
    if newer := await _newer(connection, found):
        return newer
    if found != needed:
        raise SchemaBehindError(
            f"the database's schema is at {found or 'nothing'} and this version needs {needed}: run `receiver migrate`"
        )
    return needed


async def _newer(connection: "asyncpg.Connection[asyncpg.Record]", found: str | None) -> str | None:
    """The revision if it is a newer version's. Raises SchemaBehindError if this version cannot run on it."""
    known = {script.revision for script in scripts().walk_revisions()}
    if found is None or found in known:
        return None
    oldest: str | None = await connection.fetchval(_COMPATIBLE_FROM)
    if oldest in known:
        return found
    runs = f" (those that know {oldest} run on it)" if oldest else ""
    raise SchemaBehindError(
        f"the database's schema is at {found}, which this version does not know: install a newer version{runs}"
    )


async def upgrade(url: str, told: Told = UNTOLD, shards: int | None = None, refused: Refusal | None = None) -> str:
    """Bring the schema up to date, and return its revision: `head()`, or a newer one on which this version may run.

    Concurrent callers take turns. Writers do not wait behind it for long: it tries for locks, and tries again. All of
    it is done on the host that the lock is held on, though the URL may name several.

    `shards`: distribute it on Citus, each table into so many; one that is distributed stays so without it.

    Raises SchemaBehindError, MigrationError, NotDistributable; Unsuitable or NoHost for a server that is `refused`.
    """
    from alembic import command
    from sqlalchemy.exc import DBAPIError

    async with _lock(url, told, refused) as connection:
        found = await current(connection)
        if newer := await _newer(connection, found):
            return newer
        if shards:
            await distributing.check(connection)
        elif await distributing.is_distributed(connection):
            shards = distributing.SHARDS
        await _ensure_roles(connection)
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {VERSION_SCHEMA}")

        async def attempt() -> None:
            steps = _Steps(connection.url, found, told, shards)
            async with watched(partial(connect, connection.url), steps.backend, told):
                await asyncio.to_thread(command.upgrade, _config(steps), "head")

        try:
            await with_patience(attempt, connection, told)
        except DBAPIError as error:
            raise MigrationError(str(error.orig).partition("\n")[0]) from error
    return head()


async def _ensure_roles(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Raises MigrationError, with the statements to run, if they need an administrator."""
    if missing := await roles.ensure(connection):
        raise MigrationError(f"an administrator has to run this first: {' '.join(missing)}")


class _Steps:
    """The migrations that are under way, told one by one. Called in Alembic's thread."""

    def __init__(self, url: str, found: str | None, told: Told, shards: int | None) -> None:
        pending = scripts().iterate_revisions("head", found or "base")
        self._labels = [f"migration {script.revision}" for script in reversed(list(pending))]
        self._labels += ["distributing"] if shards else []
        self.shards = shards
        self._url = url
        self._told = told
        self.backend = Backend("")
        self.next()

    def next(self, **_told_by_alembic: object) -> None:
        """The one before is done."""
        self.backend.label = self._labels.pop(0) if self._labels else "committing"
        self._told.stage(self.backend.label)

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """The connection of the migrations."""
        connection = await connect(self._url)
        await connection.execute(SET_TIMEOUT)
        self.backend.pid = connection.get_server_pid()
        return connection


def _config(steps: _Steps | None = None) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["steps"] = steps
    return config


@asynccontextmanager
async def _lock(url: str, told: Told, refused: Refusal | None) -> AsyncIterator[connecting.Connection]:
    """The migration lock, acquired by polling: a wait in pg_advisory_lock deadlocks with CREATE INDEX CONCURRENTLY."""
    connection = await connect(url, refused)
    try:
        told.stage("waiting for another migration of this database")
        gives_up = time.monotonic() + _LOCK_TIMEOUT_S
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK, timeout=_CONNECT_TIMEOUT_S):
            holder = await connection.fetchval(_HOLDER, _LOCK, timeout=_CONNECT_TIMEOUT_S)
            told.note(f"process {holder}")
            if time.monotonic() > gives_up:
                raise MigrationError(
                    f"another migration of this database has gone on for more than {_LOCK_TIMEOUT_S} s: see in "
                    f"pg_stat_activity what process {holder} does, and run `receiver migrate` again"
                )
            await asyncio.sleep(0.2)
        told.note("")
        yield connection
    finally:
        await connection.close(timeout=_CONNECT_TIMEOUT_S)
