-- Each table of the ring is distributed by the payload's id: whoever fills it fills all nodes alike. The ring itself is a
-- table of the coordinator's, where the default of `slot` is computed too.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'sms_data.rejected_payload'::regclass) THEN
        PERFORM create_distributed_table('sms_data.rejected_payload', 'rejected_id', colocate_with => 'sms_data.reply_key');
    END IF;
END
$$;

-- Bytes on the disks of all nodes.
CREATE OR REPLACE FUNCTION sms_data.rejected_bytes() RETURNS bigint
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT sum(citus_total_relation_size(inhrelid))::bigint
    FROM pg_inherits WHERE inhparent = 'sms_data.rejected_payload'::regclass
$$;

-- As 0001/rejected.sql has it, but for the sizes: of shards on other nodes.
CREATE OR REPLACE FUNCTION sms_data.make_room_for_rejected(max_bytes bigint, OUT room bigint, OUT dropped bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '2s'
AS $$
DECLARE
    share CONSTANT bigint := max_bytes / 32 * 3;
    used           bigint;
    freed          bigint := 0;
    current_slot   integer;
    next_slot      integer;
    next_name      text;
BEGIN
    dropped := 0;
    LOCK TABLE sms_data.rejected_ring IN SHARE ROW EXCLUSIVE MODE;
    SELECT slot INTO current_slot FROM sms_data.rejected_ring;
    used := sms_data.rejected_bytes();
    IF citus_total_relation_size(format('sms_data.rejected_payload_slot_%s', current_slot)::regclass) >= share
       OR used > 8 * share
    THEN
        next_slot := (current_slot + 1) % 8;
        next_name := format('rejected_payload_slot_%s', next_slot);
        -- Before: of what it has changed, a transaction cannot ask for the size.
        freed := citus_total_relation_size(format('sms_data.%I', next_name)::regclass);
        EXECUTE format('LOCK TABLE sms_data.%I IN ACCESS EXCLUSIVE MODE', next_name);
        EXECUTE format('SELECT count(*) FROM sms_data.%I', next_name) INTO dropped;
        EXECUTE format('TRUNCATE sms_data.%I', next_name);
        UPDATE sms_data.rejected_ring SET slot = next_slot;
    END IF;
    room := max_bytes - used + freed;
END
$$;
