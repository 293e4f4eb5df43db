"""The SQL contract: views, functions and roles, as they are after all migrations."""

import asyncpg
from support.golden import check

VIEWS = """
SELECT c.relname, pg_get_userbyid(c.relowner), obj_description(c.oid, 'pg_class') AS comment,
       array_agg(format('%s %s  -- %s', a.attname, format_type(a.atttypid, a.atttypmod),
                        coalesce(col_description(c.oid, a.attnum), '')) ORDER BY a.attnum) AS columns
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'sms'::regnamespace
GROUP BY c.oid ORDER BY c.relname
"""
FUNCTIONS = """
SELECT format('%s(%s) returns %s%s  -- %s', proname, pg_get_function_arguments(oid), pg_get_function_result(oid),
              CASE WHEN prosecdef THEN ' security definer' ELSE '' END, coalesce(obj_description(oid, 'pg_proc'), ''))
FROM pg_proc WHERE pronamespace = 'sms'::regnamespace ORDER BY 1
"""
ROLES = """
SELECT rolname, rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,
       ARRAY(SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
             WHERE m.member = r.oid ORDER BY 1) AS member_of
FROM pg_roles r WHERE rolname LIKE 'sms\\_%' ORDER BY 1
"""
RIGHTS = """
WITH role AS (SELECT unnest(ARRAY['public', 'sms_reader', 'sms_writer']) AS name),
object AS (
    SELECT 'schema' AS kind, nspname AS name, oid, ARRAY['USAGE', 'CREATE'] AS rights
    FROM pg_namespace WHERE nspname IN ('sms', 'sms_data')
    UNION ALL
    SELECT 'relation', oid::regclass::text, oid,
           ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']
    FROM pg_class WHERE relnamespace = 'sms'::regnamespace
                     OR (relnamespace = 'sms_data'::regnamespace AND relkind IN ('r', 'p', 'v', 'm'))
    UNION ALL
    SELECT 'function', oid::regprocedure::text, oid, ARRAY['EXECUTE']
    FROM pg_proc WHERE pronamespace IN ('sms'::regnamespace, 'sms_data'::regnamespace)
)
SELECT role.name AS role, object.kind, object.name,
       ARRAY(SELECT one FROM unnest(rights) AS one WHERE CASE kind
             WHEN 'schema' THEN has_schema_privilege(role.name, object.oid, one)
             WHEN 'function' THEN has_function_privilege(role.name, object.oid, one)
             WHEN 'relation' THEN has_table_privilege(role.name, object.oid, one)
                  OR (one IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
                      AND has_any_column_privilege(role.name, object.oid, one)) END) AS rights
FROM role, object ORDER BY role.name, kind DESC, object.name
"""


async def test_views(sql: asyncpg.Connection) -> None:
    told = [
        "\n".join([f"sms.{name} ({owner})  -- {comment or ''}", *(f"    {column}" for column in columns)])
        for name, owner, comment, columns in await sql.fetch(VIEWS)
    ]
    check("sql-views.txt", "\n\n".join(told))


async def test_functions(sql: asyncpg.Connection) -> None:
    check("sql-functions.txt", "\n".join(f"sms.{row[0]}" for row in await sql.fetch(FUNCTIONS)) or "none")


async def test_roles(sql: asyncpg.Connection) -> None:
    told = []
    for role in await sql.fetch(ROLES):
        powers = [name for name, value in role.items() if value is True]
        told.append(f"{role['rolname']}: {', '.join(powers) or 'no powers'}; member of {role['member_of'] or 'none'}")
    check("sql-roles.txt", "\n".join(told))


async def test_rights(sql: asyncpg.Connection) -> None:
    """What the service itself may do to the tables below the views is the house's own affair."""
    found = [row for row in await sql.fetch(RIGHTS) if row["rights"]]
    shown = [row for row in found if row["role"] != "sms_writer" or not row["name"].startswith("sms_data.")]
    told = [f"{row['role']:<10}  {row['kind']:<8}  {row['name']}: {', '.join(row['rights'])}" for row in shown]
    check("sql-rights.txt", "\n".join(told))
