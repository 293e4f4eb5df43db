"""The schema, the login's rights, and the partitions: what is in the database. Each look is a part of a transaction."""

from datetime import timedelta
from typing import Final

from receiver.checks.finding import Finding
from receiver.settings import Settings, variable
from receiver.store import roles, sql
from receiver.store import schema as migrations
from receiver.store.connecting import Connection
from receiver.store.maintenance.partitions import today, whole_days_left
from receiver.store.schema import SchemaBehindError

SCHEMA, RIGHTS, PARTITIONS = "schema", "rights", "partitions"

FEW_DAYS: Final = 2

_OWNER_GRACE: Final = timedelta(days=1)
"""Retention is a daily job: a day late is not behind."""

_LOGIN: Final = """
SELECT quote_ident(current_user) AS login, rolsuper AS superuser,
       pg_has_role('sms_writer', 'USAGE') AS writer, pg_has_role('sms_owner', 'MEMBER') AS owner,
       pg_has_role('sms_reader', 'MEMBER') AS reader
FROM pg_roles WHERE rolname = current_user
"""
_WITHHELD: Final = """
SELECT name FROM (
    SELECT p.oid::regprocedure::text AS name,
           has_function_privilege('sms_writer', p.oid, 'EXECUTE') AND NOT has_function_privilege(p.oid, 'EXECUTE') AS is
    FROM pg_proc AS p WHERE p.pronamespace = 'sms_data'::regnamespace
    UNION ALL
    SELECT c.oid::regclass::text,
           has_table_privilege('sms_writer', c.oid, 'INSERT') AND NOT has_table_privilege(c.oid, 'INSERT')
    FROM pg_class AS c WHERE c.relnamespace = 'sms_data'::regnamespace AND c.relkind IN ('r', 'p')
) AS one WHERE "is" ORDER BY 1
"""
"""What sms_writer may and this login may not."""

_NEEDED: Final = """
SELECT has_function_privilege('sms_writer', 'sms_data.probe()', 'EXECUTE')
   AND has_table_privilege('sms_writer', 'sms_data.reply', 'INSERT')
   AND has_schema_privilege('sms_writer', 'sms_data', 'USAGE')
"""


async def schema(connection: Connection, *, own: bool, subject: str = SCHEMA) -> list[Finding]:
    """Whether the schema is this version's. `own`: `receiver serve` does not migrate it."""
    try:
        found = await migrations.check(connection)
    except SchemaBehindError as error:
        if not own:
            return [Finding(subject, "warning", str(error), "`receiver serve` does it at its start")]
        name = variable("database_url")
        return [Finding(subject, "error", str(error), f"with {name} of a member of {roles.OWNER}")]
    if found != (known := migrations.head()):
        told = f"at {found}, of a newer version, on which this one, of {known}, runs"
        return [Finding(subject, "warning", told, "install the newer version here too")]
    return [Finding(subject, "ok", f"at {found}, as this version needs it")]


async def rights(connection: Connection) -> list[Finding]:
    """What the login may do, of a database of the operator's own."""
    if missing := [row["name"] for row in await connection.fetch(roles.MISSING, list(roles.ROLES))]:
        advice = "an administrator runs deploy/postgresql/setup.sql, and `receiver migrate` after it"
        return [Finding(RIGHTS, "error", f"there is no role {', '.join(missing)}", advice)]
    (row,) = await connection.fetch(_LOGIN)
    login = row["login"]
    withheld = [one["name"] for one in await connection.fetch(_WITHHELD)]
    if not row["writer"] and withheld:
        return [Finding(RIGHTS, "error", f"{login} may not store reports", f"GRANT sms_writer TO {login}")]
    if withheld or not await connection.fetchval(_NEEDED):
        what = f": {withheld[0]}" if withheld else ""
        told = f"{login} may not do all that the service does{what}"
        return [Finding(RIGHTS, "error", told, f"run `receiver migrate` as a member of {roles.OWNER}")]
    found = [Finding(RIGHTS, "ok", f"{login} may store reports")]
    if row["superuser"] or row["owner"]:
        what = "is a superuser" if row["superuser"] else f"is a member of {roles.OWNER}"
        told = f"{login} {what}: who has its password can change and delete stored reports"
        found.append(Finding(RIGHTS, "warning", told, "serve with a login that is in sms_writer alone"))
    return found


async def partitions(connection: Connection, settings: Settings) -> list[Finding]:
    """Whether the coming days have partitions, and the days beyond the retention none."""
    days = await whole_days_left(connection)
    told = f"they reach {days} days ahead"
    found = [Finding(PARTITIONS, "ok", told)]
    if days < FEW_DAYS:
        advice = "`receiver serve` makes them at its start, and `receiver maintain`"
        found = [Finding(PARTITIONS, "warning", told, advice)]
    if settings.retention_days is None:
        return [*found, Finding(PARTITIONS, "ok", f"none is ever dropped: {variable('retention_days')} is not set")]
    cutoff = today() - timedelta(days=settings.retention_days)
    overdue = await connection.fetch(sql.OLD_PARTITIONS, cutoff - _OWNER_GRACE)
    if overdue:
        told = f"{len(overdue)} should have been dropped, the oldest is {min(row['name'] for row in overdue)}"
        advice = (
            f"run `receiver maintain` daily as a member of {roles.OWNER}, with {variable('retention_days')} as here"
        )
        return [*found, Finding(PARTITIONS, "warning", told, advice)]
    return [*found, Finding(PARTITIONS, "ok", f"none is older than {settings.retention_days} days: retention is kept")]
