-- What belongs to a message is distributed by its id, and lies together: a message, its reports, its submissions and its
-- envelopes are in shards of one node.

-- What a message is counted as: the columns of the counts (0001/counts.sql), and its steps in the histograms of delivery
-- times and of reporting lags, null where it is in none.
DO $$
BEGIN
    IF to_regtype('sms_data.counted_message') IS NULL THEN
        CREATE TYPE sms_data.counted_message AS (
            hour            timestamptz,
            submitted_hour  timestamptz,
            country         text COLLATE "C",
            status          text COLLATE "C",
            reason          text COLLATE "C",
            code            text COLLATE "C",
            accepted        boolean,
            reported        boolean,
            reports         integer,
            segments        smallint,
            delivery_bucket smallint,
            lag_bucket      smallint
        );
    END IF;
END
$$;

-- As it was counted before its last change. PostgreSQL returns no values from before an update, and the coordinator needs
-- them for the difference. Where it is there already, ALTER TABLE would wait for a backup.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'sms_data.message'::regclass AND attname = 'was') THEN
        ALTER TABLE sms_data.message ADD COLUMN was sms_data.counted_message;
    END IF;
END
$$;

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
