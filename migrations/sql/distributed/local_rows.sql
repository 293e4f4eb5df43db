-- What a table held before it was distributed is still on the coordinator's disk, where nobody reads it.
DO $$
DECLARE
    name regclass;
BEGIN
    FOR name IN
        SELECT logicalrelid FROM pg_dist_partition AS spread JOIN pg_class AS c ON c.oid = spread.logicalrelid
        WHERE c.relnamespace = 'sms_data'::regnamespace AND c.relkind = 'r' AND pg_relation_size(c.oid) > 0
    LOOP
        PERFORM truncate_local_data_after_distributing_table(name);
    END LOOP;
END
$$;
