-- What belongs to a message is distributed by its id, and lies together: a message, its reports, its submissions and its
-- envelopes are in shards of one node.

-- Citus distributes no table with triggers. What they count is counted by the functions that write (counting.sql).
DROP TRIGGER IF EXISTS count_inserted ON sms_data.message;
DROP TRIGGER IF EXISTS count_updated ON sms_data.message;
DROP TRIGGER IF EXISTS count_inserted ON sms_data.submission;

DO $$
DECLARE
    name regclass;
BEGIN
    FOREACH name IN ARRAY ARRAY['sms_data.message', 'sms_data.report', 'sms_data.submission', 'sms_data.envelope']::regclass[]
    LOOP
        IF NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = name) THEN
            IF name = 'sms_data.message'::regclass THEN
                PERFORM create_distributed_table(name, 'message_id', colocate_with => 'none',
                                                 shard_count => current_setting('sms.shards')::integer);
            ELSE
                PERFORM create_distributed_table(name, 'message_id', colocate_with => 'sms_data.message');
            END IF;
        END IF;
    END LOOP;
END
$$;
