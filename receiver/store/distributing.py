"""The layout of a database on Citus: what `receiver migrate --distributed` adds to the migrations.

The migrations remain one history. Behind them, in the same transaction, the scripts of `migrations/sql/distributed`
distribute what is not distributed yet, and replace functions and views by those that know of shards. Each can be run
again: they run after every later migration of such a database too.
"""

from typing import Final

import asyncpg

from receiver.errors import OperatorError

SCRIPTS: Final = (
    "begin",
    "sessions",
    "tables",
    "reference",
    "anchors",
    "counts",
    "merging",
    "counting",
    "store_reports",
    "beside_reports",
    "folding",
    "retention",
    "views",
    "views_by_day",
    "periods",
    "replies",
    "rejected",
    "probe",
    "identity",
    "look_ups",
    "functions",
    "readers",
    "local_rows",
)
"""In this order: files of `migrations/sql/distributed`, one for each subject."""

SHARDS: Final = 8
"""Of each distributed table, unless the command says otherwise. The scripts find it in the setting `sms.shards`."""

ONE_AFTER_THE_OTHER: Final = "SET LOCAL citus.multi_shard_modify_mode = 'sequential'"
"""By one connection to each node: what one statement of the transaction has made, the next one sees."""

SET_SHARDS: Final = "SET LOCAL sms.shards = '{shards:d}'"

_INSTALLED: Final = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')"
_DISTRIBUTED: Final = """
SELECT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = to_regclass('sms_data.message'))
"""
_AT_COORDINATOR: Final = "SELECT citus_is_coordinator()"
_WORKERS: Final = """
SELECT count(*) FROM pg_dist_node WHERE isactive AND shouldhaveshards AND noderole = 'primary'
"""


_SUPERUSER: Final = "SELECT current_setting('is_superuser')::boolean"


class NotDistributable(OperatorError):
    """The server cannot hold a distributed schema; the text says what an administrator has to do."""


async def is_distributed(connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
    """Whether the tables are distributed already."""
    return bool(await connection.fetchval(_INSTALLED) and await connection.fetchval(_DISTRIBUTED))


async def check(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Raise NotDistributable unless this is the coordinator of a Citus with nodes that take shards."""
    if not await connection.fetchval(_INSTALLED):
        raise NotDistributable(
            "this database has no Citus: an administrator has to run CREATE EXTENSION citus in it, on every node "
            "(docs/citus.md); on a PostgreSQL without Citus, run `receiver migrate` alone"
        )
    if not await connection.fetchval(_WORKERS):
        raise NotDistributable(
            "no node takes shards: an administrator has to add the workers with citus_add_node (docs/citus.md)"
        )
    if not await connection.fetchval(_AT_COORDINATOR):
        raise NotDistributable("this is not the coordinator of the cluster: name that in the URL")
    if not await connection.fetchval(_DISTRIBUTED) and not await connection.fetchval(_SUPERUSER):
        raise NotDistributable(
            "the first time takes a superuser, for Citus lets nobody else bring roles to the other nodes; "
            "later `receiver migrate` is the owner's again (docs/citus.md)"
        )
