-- The coordinator asks the other nodes about the tables behind a view, and as the role that asks: it has to be let in
-- there, and to see these tables. It needs a way in without a password of its own, as sms_owner does (begin.sql).
DO $$
BEGIN
    IF NOT (SELECT rolcanlogin FROM pg_roles WHERE rolname = 'sms_reader') THEN
        ALTER ROLE sms_reader LOGIN;
    END IF;
END
$$;

GRANT USAGE ON SCHEMA sms_data TO sms_reader;
DO $$
BEGIN
    EXECUTE (
        WITH RECURSIVE behind (relation) AS (
            SELECT oid FROM pg_class WHERE relnamespace = 'sms'::regnamespace AND relkind = 'v'
            UNION
            SELECT d.refobjid
            FROM behind
            JOIN pg_rewrite AS rule ON rule.ev_class = relation
            JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = rule.oid
                               AND d.refclassid = 'pg_class'::regclass
        )
        SELECT format('GRANT SELECT ON %s TO sms_reader', string_agg(logicalrelid::text, ', '))
        FROM pg_dist_partition
        -- With the right to enter, `receiver check` asks for the version.
        WHERE logicalrelid IN (SELECT relation FROM behind) OR logicalrelid = 'sms_data.alembic_version'::regclass);
END
$$;
