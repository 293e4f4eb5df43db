"""The three database roles: `sms_owner` owns everything, `sms_writer` is the service, `sms_reader` reads the views."""

from contextlib import suppress
from typing import Final

import asyncpg

OWNER: Final = "sms_owner"
ROLES: Final = (OWNER, "sms_writer", "sms_reader")

MISSING: Final = "SELECT name FROM unnest($1::text[]) AS name WHERE to_regrole(name) IS NULL"
_MAY_ACT_AS: Final = "SELECT pg_has_role(to_regrole($1), 'USAGE')"


async def ensure(connection: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    """Create the missing roles and grant the current user membership of the owner.

    Returns the statements for this that the current user may not run; empty if everything is done.
    """
    missing = [
        statement
        for row in await connection.fetch(MISSING, list(ROLES))
        if not await _try_execute(connection, statement := f"CREATE ROLE {row['name']} NOLOGIN;")
    ]
    if not await connection.fetchval(_MAY_ACT_AS, OWNER):
        user = await connection.fetchval("SELECT quote_ident(current_user)")
        if not await _try_execute(connection, statement := f"GRANT {OWNER} TO {user};"):
            missing.append(statement)
    return missing


async def _try_execute(connection: "asyncpg.Connection[asyncpg.Record]", statement: str) -> bool:
    """Whether the statement's effect is there now; False if the user may not run it."""
    try:
        # Another database of this cluster may be migrated at the same moment.
        with suppress(asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
            await connection.execute(statement)
    except (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedObjectError):
        return False
    return True
