-- A shard that moves to another node is copied while it is written to, and what changes meanwhile follows by logical
-- replication. That needs an identity of the rows: the primary key, or where there is none, the row itself. Of these tables,
-- reports and submissions are never changed, and the rows of the others are few. A day that is made later has its table's
-- identity (0003/partitions.sql).
DO $$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        SELECT format('ALTER TABLE %s REPLICA IDENTITY FULL', c.oid::regclass)
        FROM pg_class AS c
        JOIN pg_dist_partition ON logicalrelid = c.oid
        WHERE c.relnamespace = 'sms_data'::regnamespace AND c.relreplident = 'd'
              AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary)
    LOOP
        EXECUTE statement;
    END LOOP;
END
$$;
