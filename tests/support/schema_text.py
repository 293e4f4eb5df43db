"""The schema as one text, from the catalogues: the same from PostgreSQL 15 to 18, save for how views name columns."""

import re
from typing import Final

import asyncpg

_OURS: Final = "n.nspname IN ('sms', 'sms_data') AND c.relname <> 'alembic_version'"
_NO_DAY: Final = "c.relname !~ '_[0-9]{8}$'"

TYPES: Final = f"""
SELECT format('CREATE TYPE %s AS (%s);', c.oid::regclass, E'\\n    ' || string_agg(
           format('%I %s', attname, format_type(atttypid, atttypmod)), E',\\n    ' ORDER BY attnum) || E'\\n')
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace JOIN pg_attribute ON attrelid = c.oid
WHERE {_OURS} AND relkind = 'c'
GROUP BY c.oid ORDER BY c.oid::regclass::text COLLATE "C"
"""
TABLES: Final = f"""
WITH line AS (
    SELECT attrelid AS oid, attnum AS position,
           format('%I %s', attname, format_type(atttypid, atttypmod))
           || CASE WHEN collname <> 'default' THEN format(' COLLATE %I', collname) ELSE '' END
           || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END
           || coalesce(' DEFAULT ' || pg_get_expr(adbin, adrelid), '') AS text
    FROM pg_attribute
    LEFT JOIN pg_collation ON pg_collation.oid = attcollation
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT conrelid, 10000 + row_number() OVER (ORDER BY conname COLLATE "C"),
           format('CONSTRAINT %I %s', conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE contype IN ('p', 'u', 'c', 'f', 'x')
)
SELECT CASE WHEN relispartition
            THEN format('CREATE TABLE %s PARTITION OF %s %s', c.oid::regclass,
                        (SELECT inhparent::regclass FROM pg_inherits WHERE inhrelid = c.oid),
                        pg_get_expr(relpartbound, c.oid))
            ELSE format(E'CREATE TABLE %s (\\n    %s\\n)', c.oid::regclass,
                        (SELECT string_agg(text, E',\\n    ' ORDER BY position) FROM line WHERE line.oid = c.oid))
                 || coalesce(' PARTITION BY ' || pg_get_partkeydef(c.oid), '') END
       || CASE WHEN reloptions IS NULL THEN '' ELSE format(' WITH (%s)', array_to_string(reloptions, ', ')) END || ';'
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
WHERE {_OURS} AND relkind IN ('r', 'p') AND {_NO_DAY}
ORDER BY c.oid::regclass::text COLLATE "C"
"""
INDEXES: Final = f"""
SELECT pg_get_indexdef(i.indexrelid) || ';'
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid JOIN pg_namespace AS n ON n.oid = relnamespace
WHERE {_OURS} AND NOT relispartition AND {_NO_DAY}
      AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
ORDER BY pg_get_indexdef(i.indexrelid) COLLATE "C"
"""
FUNCTIONS: Final = """
SELECT pg_get_functiondef(p.oid) || ';'
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
WHERE n.nspname IN ('sms', 'sms_data') ORDER BY p.oid::regprocedure::text COLLATE "C"
"""
VIEWS: Final = f"""
SELECT format(E'CREATE VIEW %s AS\\n%s', c.oid::regclass, pg_get_viewdef(c.oid))
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
WHERE {_OURS} AND relkind = 'v' ORDER BY c.oid::regclass::text COLLATE "C"
"""
TRIGGERS: Final = f"""
SELECT pg_get_triggerdef(t.oid) || ';'
FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = tgrelid JOIN pg_namespace AS n ON n.oid = relnamespace
WHERE {_OURS} AND NOT tgisinternal AND {_NO_DAY} ORDER BY c.oid::regclass::text COLLATE "C", tgname COLLATE "C"
"""
COMMENTS: Final = f"""
SELECT format('COMMENT ON %s %s IS %L;',
              CASE WHEN objsubid > 0 THEN 'COLUMN' WHEN relkind = 'v' THEN 'VIEW' ELSE 'TABLE' END,
              c.oid::regclass || coalesce('.' || attname, ''), description)
FROM pg_description JOIN pg_class AS c ON c.oid = objoid AND classoid = 'pg_class'::regclass
JOIN pg_namespace AS n ON n.oid = relnamespace
LEFT JOIN pg_attribute ON attrelid = c.oid AND attnum = objsubid AND objsubid > 0
WHERE {_OURS} ORDER BY c.oid::regclass::text COLLATE "C", objsubid
"""
GRANTS: Final = f"""
WITH object AS (
    SELECT 'SCHEMA ' || nspname AS name, nspacl AS acl FROM pg_namespace WHERE nspname IN ('sms', 'sms_data')
    UNION ALL
    SELECT 'TABLE ' || c.oid::regclass, relacl
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace WHERE {_OURS} AND {_NO_DAY}
    UNION ALL
    SELECT format('TABLE %s (%I)', c.oid::regclass, attname), attacl
    FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid JOIN pg_namespace AS n ON n.oid = relnamespace
    WHERE {_OURS}
    UNION ALL
    SELECT 'FUNCTION ' || p.oid::regprocedure, proacl
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace WHERE n.nspname IN ('sms', 'sms_data')
)
SELECT format('GRANT %s ON %s TO %s;', string_agg(privilege_type, ', ' ORDER BY privilege_type COLLATE "C"), name,
              grantee::regrole)
FROM object, aclexplode(acl)
WHERE grantee <> 0 AND grantee IN ('sms_reader'::regrole, 'sms_writer'::regrole)
GROUP BY name, grantee ORDER BY name COLLATE "C", grantee::regrole::text COLLATE "C"
"""

HEAD: Final = """\
-- The schema as the migrations leave it, to be read; `make schema` writes it. `receiver migrate` makes it.
-- Everything belongs to sms_owner. The partitions of a day are left out.
"""


async def schema_text(connection: "asyncpg.Connection[asyncpg.Record]") -> str:
    """Statements that describe everything in the schemas sms and sms_data."""
    await connection.execute("SET search_path = pg_catalog")
    parts = [HEAD.strip(), "CREATE SCHEMA sms;\nCREATE SCHEMA sms_data;"]
    for query in (TYPES, TABLES, FUNCTIONS, VIEWS):
        parts += [row[0].strip() for row in await connection.fetch(query)]
    for query in (INDEXES, TRIGGERS, COMMENTS, GRANTS):
        parts.append("\n".join(row[0] for row in await connection.fetch(query)))
    return "\n\n".join(parts) + "\n"


def comparable(text: str) -> str:
    """Without the names of tables before those of columns, which PostgreSQL adds to a view or not, by its version."""
    return re.sub(r"\b\w+\.(?=\w)", "", text)
