"""PostgreSQL: reachable, fit to keep reports, with the schema and the rights that the service needs. Reads alone."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import asyncpg

from receiver import embedded
from receiver.checks import in_database
from receiver.checks.finding import Finding, Level
from receiver.checks.in_database import PARTITIONS, RIGHTS, SCHEMA
from receiver.checks.machines import REPLICATION, replication, seen
from receiver.checks.nodes import NODES, nodes
from receiver.database_hosts import Wanted, is_local, place, wanted
from receiver.reading import standby
from receiver.settings import Settings, variable
from receiver.store import connecting
from receiver.store.connecting import Connection
from receiver.store.database_error import as_operator_error, explained

DATABASE, CLOCK, READING = "database", "clock", "read database"

_TIMEOUT_S: Final = 4.0
"""To connect, and of each statement."""

_OLDEST: Final = 15
_FEW_CONNECTIONS: Final = 8
_SKEW_S: Final = 2.0
_WRONG_DAY_S: Final = 3_600.0

_VERIFY: Final = "put sslmode=verify-full&sslrootcert=… into the URL"
_VERIFIED: Final = ("verify-full", "verify-ca")

_SERVER: Final = """
SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int / 10000 AS major,
       current_setting('server_encoding') AS encoding, current_setting('fsync') = 'on' AS fsync,
       current_setting('full_page_writes') = 'on' AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('default_transaction_read_only') = 'on' AS read_only, pg_is_in_recovery() AS standby,
       current_setting('max_connections')::int
           - (SELECT sum(numbackends) FROM pg_stat_database) AS connections_left,
       pg_backend_pid() AS pid, (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS encrypted
"""
_NOW: Final = "SELECT extract(epoch FROM clock_timestamp())::double precision"
_READABLE: Final = """
SELECT (SELECT count(*) FROM pg_views WHERE schemaname = 'sms') AS views,
       (SELECT count(*) FROM pg_views WHERE schemaname = 'sms'
               AND has_table_privilege(format('%I.%I', schemaname, viewname), 'SELECT')) AS readable,
       coalesce(has_schema_privilege(to_regnamespace('sms'), 'USAGE'), false) AS enters,
       coalesce(has_schema_privilege(to_regnamespace('sms_data'), 'USAGE'), true) AS knows_version
"""

_FAULTS: Final[tuple[tuple[Callable[[Mapping[str, Any]], bool], Level, str, str], ...]] = (
    (
        lambda row: row["major"] < _OLDEST,
        "error",
        f"it is older than PostgreSQL {_OLDEST}",
        "use 15 to 18",
    ),
    (
        lambda row: row["encoding"] != "UTF8",
        "error",
        "the database's encoding is not UTF8",
        "make one: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
    ),
    (
        lambda row: not row["fsync"],
        "error",
        "fsync is off: a power cut loses reports that were answered",
        "set fsync = on in postgresql.conf",
    ),
    (
        lambda row: not row["full_page_writes"],
        "warning",
        "full_page_writes is off: a power cut can damage tables",
        "set full_page_writes = on in postgresql.conf, unless the file system writes whole pages",
    ),
    (
        lambda row: row["synchronous_commit"] in ("off", "local"),
        "ok",
        "synchronous_commit is off or local: the service asks for on in its own transactions",
        "",
    ),
    (
        lambda row: row["standby"],
        "error",
        "it is a standby, and takes no reports",
        "name the primary, or all hosts with target_session_attrs=read-write",
    ),
    (
        lambda row: row["read_only"],
        "error",
        "default_transaction_read_only is on for this login: no report could be stored",
        "ALTER ROLE … RESET default_transaction_read_only, or see postgresql.conf",
    ),
    (
        lambda row: row["connections_left"] < _FEW_CONNECTIONS,
        "warning",
        f"fewer than {_FEW_CONNECTIONS} of its connections are free",
        "raise max_connections, or put a pooler before it",
    ),
)
"""What is wrong with a server, by a row of `_SERVER`."""

Part = Callable[[], Awaitable[Iterable[Finding]]]


async def database(settings: Settings) -> list[Finding]:
    """The database that the service writes to; nothing of an embedded one that does not run."""
    own = settings.database_url is not None
    if not own and not embedded.in_use(settings.data_dir):
        return []
    given = settings.database_url
    url = given.get_secret_value() if given else embedded.database_url(settings.data_dir)
    known = await seen(settings)
    async with _connected(url, settings.database_setting) as asked:
        await connecting.judge(asked.connection, known.judge)
        found = await asked.part(DATABASE, partial(_server, asked.connection, asked.url))
        found += await asked.part(CLOCK, partial(_clock, asked.connection))
        found += (state := await asked.part(SCHEMA, partial(in_database.schema, asked.connection, own=own)))
        if all(one.level == "ok" for one in state):
            if own:
                found += await asked.part(REPLICATION, partial(replication, asked.connection, settings))
                found += await asked.part(NODES, partial(nodes, asked.connection, settings))
                found += await asked.part(RIGHTS, partial(in_database.rights, asked.connection))
            found += await asked.part(PARTITIONS, partial(in_database.partitions, asked.connection, settings))
        return found


async def reading(settings: Settings) -> list[Finding]:
    """The database that people's questions go to, if that is another."""
    if settings.read_database_url is None:
        return []
    url = settings.read_database_url.get_secret_value()
    async with _connected(url, variable("read_database_url"), wanted(url)) as asked:
        found = await asked.part(READING, partial(_readable, asked.connection))
        if all(one.level == "ok" for one in found):
            found += await asked.part(READING, partial(_standby, asked.connection))
        return found


@dataclass(frozen=True, slots=True)
class _Asked:
    """A connection. Each part is a read-only transaction, as a pooler needs it; one that fails leaves the others."""

    connection: Connection
    url: str
    setting: str

    async def part(self, subject: str, look: Part) -> list[Finding]:
        """The findings of a part; an error of PostgreSQL is one."""
        try:
            async with self.connection.transaction(readonly=True):
                return list(await look())
        except asyncpg.PostgresError as error:
            return [Finding(subject, "error", str(as_operator_error(error, self.url, self.setting)))]


@asynccontextmanager
async def _connected(url: str, setting: str, wanted: Wanted = Wanted.READ_WRITE) -> AsyncIterator[_Asked]:
    """Raises DatabaseError, from within the block too."""
    with explained(url, setting):
        connection = await connecting.connect(url, timeout_s=_TIMEOUT_S, command_timeout_s=_TIMEOUT_S, wanted=wanted)
        try:
            yield _Asked(connection, connection.url, setting)
        finally:
            connection.terminate()


async def _server(connection: Connection, url: str) -> list[Finding]:
    (row,) = await connection.fetch(_SERVER)
    pooled = row["pid"] != connection.get_server_pid()
    through = ", through a pooler" if pooled else ""
    told = [Finding(DATABASE, "ok", f"PostgreSQL {row['version']} at {place(url)}{through}")]
    told += faults(row)
    if not pooled:
        told += encryption(url, encrypted=row["encrypted"])
    return told


def faults(row: Mapping[str, Any]) -> list[Finding]:
    """What is wrong with the server, by a row of `_SERVER`."""
    return [Finding(DATABASE, level, what, advice) for wrong, level, what, advice in _FAULTS if wrong(row)]


def encryption(url: str, *, encrypted: bool) -> Iterator[Finding]:
    if is_local(url):
        return
    mode = parse_qs(urlsplit(url).query).get("sslmode", ["prefer"])[-1]
    if not encrypted:
        yield Finding(DATABASE, "warning", "the connection is not encrypted", _VERIFY)
    elif mode not in _VERIFIED:
        yield Finding(DATABASE, "warning", f"with sslmode={mode} the server's certificate is not checked", _VERIFY)
    else:
        yield Finding(DATABASE, "ok", f"the connection is encrypted, with sslmode={mode}")


async def _clock(connection: Connection) -> list[Finding]:
    before = time.time()
    theirs: float = await connection.fetchval(_NOW)
    after = time.time()
    skew = min(abs(theirs - before), abs(theirs - after)) if not before <= theirs <= after else 0.0
    told = f"this machine's clock and PostgreSQL's are {skew:.1f} s apart"
    if skew < _SKEW_S:
        return [Finding(CLOCK, "ok", told)]
    return [Finding(CLOCK, "error" if skew >= _WRONG_DAY_S else "warning", told, "let NTP set both")]


async def _readable(connection: Connection) -> list[Finding]:
    """Whether the views can be read. A login that may read these alone, as it should, may not ask for the version."""
    (row,) = await connection.fetch(_READABLE)
    if row["knows_version"]:
        found = await in_database.schema(connection, own=True, subject=READING)
        if found[0].level != "ok":
            return found
    if not row["views"]:
        told = "it has none of the views"
        return [Finding(READING, "error", told, "name a standby of the service's database, or the same database")]
    if row["readable"] < row["views"] or not row["enters"]:
        return [Finding(READING, "error", "its login may not read the views", "GRANT sms_reader TO that login")]
    return [Finding(READING, "ok", f"its login may read all {row['views']} views")]


async def _standby(connection: Connection) -> list[Finding]:
    found = await standby.behind(connection.fetch)
    if found is None:
        return [Finding(READING, "ok", "it is no standby: people's questions go to a primary")]
    if not found.receives:
        told = f"it is a standby that receives nothing from its primary; its last change is {_ago(found.seconds)}"
        return [Finding(READING, "warning", told, "see primary_conninfo there, and the log of both servers")]
    if found.is_late:
        told = f"it is a standby, and its last change is {_ago(found.seconds)}"
        return [Finding(READING, "warning", told, "pages show what was so long ago: see the load of both servers")]
    said = f"{found.seconds:.0f} s behind" if found.seconds else "that follows its primary"
    return [Finding(READING, "ok", f"it is a standby {said}")]


def _ago(seconds: float | None) -> str:
    return "not known" if seconds is None else f"{seconds:,.0f} s old"
