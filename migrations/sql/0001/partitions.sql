-- Daily partitions, in UTC. The service calls these functions with a writer's rights; they run with their owner's.
-- The lock time-out is two seconds, and the caller tries again later.

CREATE TABLE sms_data.partitioned_table (name text PRIMARY KEY);
INSERT INTO sms_data.partitioned_table VALUES ('report'), ('reply'), ('submission');

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

-- Partitions are created under a lock on a table and not under an advisory lock, which any login may hold without a
-- privilege. This lock needs the right to change the table, which neither sms_reader nor sms_writer has.

-- Creates the missing partitions of one day, and returns their number. An impossible day of arrival is refused, or a
-- stolen login could create partitions without end; it is refused as wrong data, so that the service isolates the one
-- callback and goes on with the others.
CREATE FUNCTION sms_data.create_partitions(day date) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '2s'
AS $$
DECLARE
    today CONSTANT date := (now() AT TIME ZONE 'UTC')::date;
    -- A spool, an export or a rejected payload may be replayed when it is years old. No report was received before
    -- 2020, unless the clock itself is wrong: then the days around the clock's own are accepted.
    first CONSTANT date := least(date '2020-01-01', today - 400);
    last  CONSTANT date := today + 400;
    parent_name text;
    child_name  text;
    created     integer := 0;
BEGIN
    IF (day BETWEEN first AND last) IS NOT TRUE THEN
        RAISE EXCEPTION 'no partitions are made for %: it is not between % and %', day, first, last
            USING ERRCODE = 'datetime_field_overflow';
    END IF;
    -- Retention has begun to drop it, and waits for a reader of the table.
    IF EXISTS (SELECT FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
               WHERE inhdetachpending AND child.relnamespace = 'sms_data'::regnamespace
                     AND right(child.relname, 9) = to_char(create_partitions.day, '"_"YYYYMMDD'))
    THEN
        RAISE EXCEPTION 'no partitions are made for %: it is beyond the retention', day
            USING ERRCODE = 'datetime_field_overflow';
    END IF;
    -- Several services may get here at the same time.
    LOCK TABLE sms_data.partitioned_table IN SHARE ROW EXCLUSIVE MODE;
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
