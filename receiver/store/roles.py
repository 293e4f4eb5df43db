"""The three database roles: `sms_owner` owns everything, `sms_writer` is the service, `sms_reader` reads the views."""

from contextlib import suppress
from typing import Final

import asyncpg

OWNER: Final = "sms_owner"
ROLES: Final = (OWNER, "sms_writer", "sms_reader")

_MISSING: Final = "SELECT name FROM unnest($1::text[]) AS name WHERE to_regrole(name) IS NULL"
_MAY_ACT_AS: Final = "SELECT pg_has_role(to_regrole($1), 'USAGE')"


async def ensured(connection: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    """Create the roles that are missing and become a member of the owner.

    Returns the statements that this needs and that whoever is connected may not run: none, if all is well.
    """
    lacking = [
        statement
        for row in await connection.fetch(_MISSING, list(ROLES))
        if not await _done(connection, statement := f"CREATE ROLE {row['name']} NOLOGIN;")
    ]
    if not await connection.fetchval(_MAY_ACT_AS, OWNER):
        who = await connection.fetchval("SELECT quote_ident(current_user)")
        if not await _done(connection, statement := f"GRANT {OWNER} TO {who};"):
            lacking.append(statement)
    return lacking


async def _done(connection: "asyncpg.Connection[asyncpg.Record]", statement: str) -> bool:
    """Whether it needs not be done any more."""
    try:
        # Another database of this cluster may be migrated at the same moment.
        with suppress(asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
            await connection.execute(statement)
    except (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedObjectError):
        return False
    return True
