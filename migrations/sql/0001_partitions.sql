-- Daily partitions, in UTC. The service calls these functions with a writer's rights; they run with their owner's.
-- The lock time-out is two seconds, and the caller tries again later.

CREATE TABLE sms_data.partitioned_table (name text PRIMARY KEY);
INSERT INTO sms_data.partitioned_table VALUES ('report'), ('reply'), ('rejected_payload');

-- The attached daily partitions with their days. Select by name and not by day: PostgreSQL may cast the name of any
-- table to a date before it filters for these.
CREATE VIEW sms_data.partition AS
    SELECT parent.relname::text AS parent, child.relname::text AS name,
           CASE WHEN child.relname ~ '_[0-9]{8}$' THEN to_date(right(child.relname, 8), 'YYYYMMDD') END AS day
    FROM pg_inherits
    JOIN pg_class AS child ON child.oid = inhrelid
    JOIN pg_class AS parent ON parent.oid = inhparent
    JOIN sms_data.partitioned_table AS known ON known.name = parent.relname
    WHERE parent.relnamespace = 'sms_data'::regnamespace;

-- Creates the missing partitions of one day, and returns their number.
CREATE FUNCTION sms_data.create_partitions(day date) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '2s'
AS $$
DECLARE
    parent_name text;
    child_name  text;
    created     integer := 0;
BEGIN
    -- Several services may get here at the same time.
    PERFORM pg_advisory_xact_lock(hashtext('sms_data.create_partitions'));
    FOR parent_name IN
        SELECT known.name FROM sms_data.partitioned_table AS known
        WHERE NOT EXISTS (SELECT FROM sms_data.partition AS p
                          WHERE p.parent = known.name
                                AND p.name = format('%s_%s', known.name, to_char(create_partitions.day, 'YYYYMMDD')))
        ORDER BY known.name
    LOOP
        child_name := format('%s_%s', parent_name, to_char(day, 'YYYYMMDD'));
        -- A table that exists unattached was left by an interrupted detachment.
        EXECUTE format('CREATE TABLE IF NOT EXISTS sms_data.%I'
                       ' (LIKE sms_data.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                       child_name, parent_name);
        EXECUTE format('ALTER TABLE sms_data.%I ATTACH PARTITION sms_data.%I FOR VALUES FROM (%L) TO (%L)',
                       parent_name, child_name,
                       day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
        created := created + 1;
    END LOOP;
    RETURN created;
END
$$;
