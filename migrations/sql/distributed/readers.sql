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
    EXECUTE (SELECT format('GRANT SELECT ON %s TO sms_reader', string_agg(logicalrelid::text, ', '))
             FROM pg_dist_partition AS spread
             JOIN pg_class AS c ON c.oid = spread.logicalrelid
             WHERE c.relnamespace = 'sms_data'::regnamespace AND NOT c.relispartition AND c.relname <> 'probe');
END
$$;
