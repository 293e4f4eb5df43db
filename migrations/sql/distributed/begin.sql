-- What the other scripts of this folder rely on. All of them run in the migrations' transaction, and can run again.

-- The owner's functions reach the other nodes as the owner. Without a password it is let in where pg_hba.conf lets the
-- nodes in, and by no other way.
DO $$
BEGIN
    IF NOT (SELECT rolcanlogin FROM pg_roles WHERE rolname = 'sms_owner') THEN
        ALTER ROLE sms_owner LOGIN;
    END IF;
END
$$;

-- Citus distributes no table with triggers. What they count is counted by the functions that write (counting.sql,
-- folding.sql).
DO $$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass)
        FROM pg_trigger JOIN pg_class AS c ON c.oid = tgrelid
        WHERE NOT tgisinternal AND c.relnamespace = 'sms_data'::regnamespace
              AND NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = tgrelid)
    LOOP
        EXECUTE statement;
    END LOOP;
END
$$;
