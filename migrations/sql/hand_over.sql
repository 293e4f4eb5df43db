-- Runs at the end of every migration: everything in the two schemas belongs to sms_owner, whichever role migrated, and
-- PUBLIC has no privileges. Functions that run with their owner's rights rely on it.

DO $$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        SELECT change
        FROM (
            -- The new owner of a table needs the right to create in its schema: so schemas first.
            SELECT 1 AS turn, nspowner AS owner, format('ALTER SCHEMA %I OWNER TO sms_owner', nspname) AS change
            FROM pg_namespace WHERE nspname IN ('sms', 'sms_data')
            UNION ALL
            SELECT 2, relowner, format('ALTER %s %s OWNER TO sms_owner',
                                       CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END,
                                       oid::regclass)
            FROM pg_class
            WHERE relnamespace IN ('sms'::regnamespace, 'sms_data'::regnamespace) AND relkind IN ('r', 'p', 'v', 'c')
            UNION ALL
            SELECT 3, proowner, format('ALTER FUNCTION %s OWNER TO sms_owner', oid::regprocedure)
            FROM pg_proc WHERE pronamespace IN ('sms'::regnamespace, 'sms_data'::regnamespace)
        ) AS object
        -- A foreign table in our schema is left to its owner.
        WHERE owner <> 'sms_owner'::regrole AND pg_has_role(owner, 'USAGE')
        ORDER BY turn
    LOOP
        EXECUTE statement;
    END LOOP;
END
$$;

REVOKE ALL ON SCHEMA sms, sms_data FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA sms, sms_data FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA sms, sms_data FROM PUBLIC;
