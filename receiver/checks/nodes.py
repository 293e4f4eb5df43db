"""The nodes of a Citus: each answers, has on its disk all that it commits, and no stranger may write there."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from receiver.checks.finding import Finding
from receiver.settings import Settings, variable
from receiver.store import distributing
from receiver.store.connecting import Connection

NODES: Final = "nodes"

_NEW_LINE: Final = "\n"
_MAX_SAID: Final = 200

_SETTINGS: Final = """
SELECT n.nodename || ':' || n.nodeport AS place, asked.success, asked.result
FROM run_command_on_all_nodes($c$
    SELECT CASE WHEN current_setting('fsync') = 'on' THEN '' ELSE 'fsync ' END
        || CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')
                     OR EXISTS (SELECT FROM pg_db_role_setting AS s
                                JOIN pg_database AS d ON d.datname = current_database() AND s.setdatabase IN (0, d.oid)
                                WHERE s.setrole = to_regrole('sms_owner')
                                      AND s.setconfig && '{synchronous_commit=off,synchronous_commit=local}')
                THEN 'commit ' ELSE '' END
        || CASE WHEN EXISTS (SELECT FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner)))
                             WHERE pronamespace = 'sms_data'::regnamespace AND grantee = 0)
                THEN 'everybody' ELSE '' END
$c$) AS asked JOIN pg_dist_node AS n USING (nodeid)
ORDER BY 1
"""
"""Reports are stored as sms_owner, replies and rejected payloads as the login that asks here.

On a node that joins, Citus makes our functions with the right of PUBLIC to call them, which is revoked elsewhere.
"""
_AT_COORDINATOR: Final = "SELECT citus_is_coordinator()"


async def nodes(connection: Connection, settings: Settings) -> list[Finding]:
    """Nothing of a database that is not distributed. A part of a transaction."""
    if not await distributing.is_distributed(connection):
        return []
    found = list(told(await connection.fetch(_SETTINGS), required=settings.require_sync_replica))
    if not await connection.fetchval(_AT_COORDINATOR):
        said = "this is not the coordinator: no rejected payload is kept here, and no partition made"
        found.append(Finding(NODES, "error", said, f"name the coordinator in {variable('database_url')}"))
    return found


def told(rows: Iterable[Mapping[str, Any]], *, required: bool) -> Iterator[Finding]:
    """By rows of `_SETTINGS`."""
    for row in rows:
        place, result = row["place"], row["result"] or ""
        found = result.split()
        if not row["success"]:
            said = f"{place} does not answer ({result.partition(_NEW_LINE)[0][:_MAX_SAID]}): reports go to the spool"
            yield Finding(NODES, "error", said, "start it, or let the nodes and this login in there (pg_hba.conf)")
            continue
        if "fsync" in found:
            said = f"fsync is off at {place}: a power cut loses reports that were answered"
            yield Finding(NODES, "error", said, "set fsync = on in its postgresql.conf")
        if "commit" in found:
            said = f"synchronous_commit is off or local at {place}: a crash there loses reports that were answered"
            advice = "on the coordinator: ALTER DATABASE … SET synchronous_commit = on, ALTER ROLE … RESET it"
            yield Finding(NODES, "error", said, advice)
        if "everybody" in found:
            said = f"{place}: every login may call there what writes, for it has joined since the last migration"
            yield Finding(NODES, "error", said, "run `receiver migrate`")
        if not found:
            yield Finding(NODES, "ok", f"{place} answers, and has on its disk all that it commits")
    if required:
        name = variable("require_sync_replica")
        said = f"{name} asks the standbys of the coordinator alone, not those of the workers"
        advice = "give each worker standbys in synchronous_standby_names that nobody empties: docs/citus.md"
        yield Finding(NODES, "warning", said, advice)
