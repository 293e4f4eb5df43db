"""The machines of PostgreSQL: each host that the URL names, and whether a commit is on a second one."""

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

import asyncpg

from receiver import database_hosts
from receiver.checks.finding import Finding, in_thread
from receiver.settings import Settings, variable
from receiver.store import connecting, standing
from receiver.store.connecting import Connection
from receiver.store.database_error import as_operator_error
from receiver.store.racing import MAY_PASS
from receiver.store.standing import Standing
from receiver.store.timelines import Timelines, load

HOSTS, REPLICATION = "database hosts", "replication"

_TIMEOUT_S: Final = 4.0

_STANDBYS: Final = """
SELECT current_setting('synchronous_standby_names') AS names,
       pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS may_see,
       (SELECT string_agg(application_name, ', ' ORDER BY application_name) FROM pg_stat_replication
        WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum')) AS synchronous
"""

_SHUT_DOWN: Final = "shut it down before anything else: docs/operations.md, ReceiverStalePrimary"


async def hosts(settings: Settings) -> list[Finding]:
    """What each of several hosts is; nothing of one alone, which is looked at as the database."""
    if settings.database_url is None:
        return []
    urls = database_hosts.each(settings.database_url.get_secret_value())
    if len(urls) == 1:
        return []
    found = await asyncio.gather(*map(_standing, urls))
    return list(told(urls, found, await seen(settings)))


async def seen(settings: Settings) -> Timelines:
    """What the service remembers of promotions."""
    return Timelines(await in_thread(partial(load, settings.data_dir)))


def told(urls: Sequence[str], found: Sequence[Standing | Exception], known: Timelines) -> Iterator[Finding]:
    """Of each host what it is, by what it said or by the error with which it did not."""
    for one in found:
        if isinstance(one, Standing) and one.system and one.timeline:
            known.learn({one.system: one.timeline})
    # Two poolers may lead to one primary.
    primaries = {(one.system, one.started) for one in found if isinstance(one, Standing) and one.writable}
    for url, one in zip(urls, found, strict=True):
        host = database_hosts.place(url)
        if isinstance(one, Exception):
            said = as_operator_error(one, url, host)
            yield Finding(HOSTS, "warning", str(said), "without it there is one host less to fail over to")
        elif not one.writable:
            yield Finding(HOSTS, "ok", f"{host} is {'a standby' if one.standby else 'read-only'}")
        elif known.is_old(one):
            yield Finding(HOSTS, "error", f"{host} is an old primary that still takes writes", _SHUT_DOWN)
        elif len(primaries) == 1:
            yield Finding(HOSTS, "ok", f"{host} is the primary")
        else:
            yield Finding(HOSTS, "error", f"{host} takes writes, and is not the only one", "name one primary alone")


async def _standing(url: str) -> Standing | Exception:
    try:
        connection = await connecting.connect(url, timeout_s=_TIMEOUT_S, command_timeout_s=_TIMEOUT_S)
        try:
            return await standing.ask(connection)
        finally:
            connection.terminate()
    except MAY_PASS as error:
        return error


async def replication(connection: Connection, settings: Settings) -> list[Finding]:
    """Whether a commit on this server is on a second machine. A part of a transaction."""
    (row,) = await connection.fetch(_STANDBYS)
    return list(second_machine(row, required=settings.require_sync_replica))


def second_machine(row: "asyncpg.Record | dict[str, object]", *, required: bool) -> Iterator[Finding]:
    """By a row of `_STANDBYS`."""
    name = variable("require_sync_replica")
    if required and not row["may_see"]:
        told = f"{name} is on, and its login may not see the standbys: every report would go to the spool"
        yield Finding(REPLICATION, "error", told, "GRANT pg_read_all_stats TO sms_writer")
    elif row["names"] and row["synchronous"]:
        yield Finding(REPLICATION, "ok", f"a commit is on a second machine: {row['synchronous']}")
    elif row["names"] and row["may_see"]:
        told = "no standby of synchronous_standby_names follows: commits wait for one, and reports go to the spool"
        yield Finding(REPLICATION, "error", told, "start the standby, or name another")
    elif row["names"]:
        yield Finding(REPLICATION, "ok", "a commit waits for a standby, which this login may not see")
    elif required:
        told = f"{name} is on, and synchronous_standby_names is empty: every report goes to the spool"
        yield Finding(REPLICATION, "error", told, "name the standbys there")
    else:
        yield Finding(REPLICATION, "ok", "a commit is on this machine alone: synchronous_standby_names is empty")
