-- The counts and their deltas are distributed by anchors (anchors.sql), beside the messages.

DO $$
DECLARE
    name regclass;
    key  text;
BEGIN
    FOREACH name IN ARRAY ARRAY['sms_data.message_count', 'sms_data.message_delta', 'sms_data.delivery_time_count',
                                'sms_data.delivery_time_delta', 'sms_data.report_lag_count', 'sms_data.report_lag_delta',
                                'sms_data.message_day_count', 'sms_data.code_day_count',
                                'sms_data.delivery_time_day_count']::regclass[]
    LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = name);
        -- What has been counted up to now is in one place; the compaction of a year costs less than a look-up by anchor.
        EXECUTE format('ALTER TABLE %s ADD COLUMN anchor text COLLATE "C" NOT NULL DEFAULT %L', name,
                       (sms_data.anchors())[1]);
        EXECUTE format('ALTER TABLE %s ALTER COLUMN anchor DROP DEFAULT', name);
        SELECT format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I PRIMARY KEY (%s, anchor)', name, conname,
                      conname, (SELECT string_agg(quote_ident(attname), ', ' ORDER BY position)
                                FROM unnest(conkey) WITH ORDINALITY AS part (attnum, position)
                                JOIN pg_attribute AS a ON a.attrelid = name AND a.attnum = part.attnum))
        INTO key
        FROM pg_constraint WHERE conrelid = name AND contype = 'p';
        IF key IS NOT NULL THEN
            EXECUTE key;
        END IF;
        PERFORM create_distributed_table(name, 'anchor', colocate_with => 'sms_data.message');
    END LOOP;
END
$$;

-- The anchor comes last, and in both halves: so each shard adds up its own.
CREATE OR REPLACE VIEW sms_data.message_counted AS
    SELECT * FROM sms_data.message_count UNION ALL SELECT * FROM sms_data.message_delta;
CREATE OR REPLACE VIEW sms_data.delivery_time_counted AS
    SELECT * FROM sms_data.delivery_time_count UNION ALL SELECT * FROM sms_data.delivery_time_delta;
CREATE OR REPLACE VIEW sms_data.report_lag_counted AS
    SELECT * FROM sms_data.report_lag_count UNION ALL SELECT * FROM sms_data.report_lag_delta;
