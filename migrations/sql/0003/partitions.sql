-- As 0001/partitions.sql has it, and a day has its table's identity for logical replication where that is the whole row:
-- shards of Citus move to another node by it (distributed/identity.sql).
CREATE OR REPLACE FUNCTION sms_data.create_partitions(day date) RETURNS integer
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
        IF (SELECT relreplident FROM pg_class WHERE oid = format('sms_data.%I', parent_name)::regclass) = 'f' THEN
            EXECUTE format('ALTER TABLE sms_data.%I REPLICA IDENTITY FULL', child_name);
        END IF;
        EXECUTE format('ALTER TABLE sms_data.%I ATTACH PARTITION sms_data.%I FOR VALUES FROM (%L) TO (%L)',
                       parent_name, child_name,
                       day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
        created := created + 1;
    END LOOP;
    RETURN created;
END
$$;
