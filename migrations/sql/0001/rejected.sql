-- Rejected payloads in a ring of eight tables. Anybody can fill them, so the oldest must be removable at once, on any
-- day and without dead rows: the next table of the ring is truncated and becomes the current one.

-- The current table of the ring.
CREATE TABLE sms_data.rejected_ring (
    single_row boolean  PRIMARY KEY DEFAULT true CHECK (single_row),
    slot       smallint NOT NULL DEFAULT 0 CHECK (slot BETWEEN 0 AND 7)
);
INSERT INTO sms_data.rejected_ring DEFAULT VALUES;

CREATE FUNCTION sms_data.rejected_slot() RETURNS smallint
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT slot FROM sms_data.rejected_ring $$;

-- The slot is in the key because PostgreSQL demands the partition key there. A payload that is written again after a
-- crash becomes a second row if the ring has moved on meanwhile, which does no harm.
CREATE TABLE sms_data.rejected_payload (
    rejected_id  uuid        NOT NULL,
    provider     text        COLLATE "C" NOT NULL,
    path         text        NOT NULL,
    received_at  timestamptz NOT NULL,
    error        text        NOT NULL,
    content_type text,
    body         bytea       NOT NULL,
    remote_addr  inet,
    replayed_at  timestamptz,
    correlation  text,
    slot         smallint    NOT NULL DEFAULT sms_data.rejected_slot(),
    PRIMARY KEY (rejected_id, received_at, slot)
) PARTITION BY LIST (slot);

CREATE INDEX rejected_payload_received_at ON sms_data.rejected_payload (received_at);

DO $$
BEGIN
    FOR slot IN 0..7 LOOP
        EXECUTE format('CREATE TABLE sms_data.rejected_payload_slot_%s PARTITION OF sms_data.rejected_payload'
                       ' FOR VALUES IN (%s)', slot, slot);
    END LOOP;
END
$$;

-- Bytes on the disk: tables, indexes and TOAST.
CREATE FUNCTION sms_data.rejected_bytes() RETURNS bigint
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT sum(pg_total_relation_size(inhrelid))::bigint
    FROM pg_inherits WHERE inhparent = 'sms_data.rejected_payload'::regclass
$$;

-- Advances the ring, and truncates its oldest table, if the current table has reached its share of the bound, or all
-- tables together three quarters of it. Returns the number of dropped rows, and the bytes that are free afterwards. The
-- service calls it with a writer's rights, which allow to delete rejected payloads and nothing else.
CREATE FUNCTION sms_data.make_room_for_rejected(max_bytes bigint, OUT room bigint, OUT dropped bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '2s'
AS $$
DECLARE
    share CONSTANT bigint := max_bytes / 32 * 3;
    current_slot   integer;
    next_slot      integer;
    next_name      text;
BEGIN
    dropped := 0;
    -- Several services may get here at the same time: the second one finds the ring advanced. Not an advisory lock,
    -- which any login may hold; no other role may change this table.
    LOCK TABLE sms_data.rejected_ring IN SHARE ROW EXCLUSIVE MODE;
    SELECT slot INTO current_slot FROM sms_data.rejected_ring;
    IF pg_total_relation_size(format('sms_data.rejected_payload_slot_%s', current_slot)::regclass) >= share
       OR sms_data.rejected_bytes() > 8 * share
    THEN
        next_slot := (current_slot + 1) % 8;
        next_name := format('rejected_payload_slot_%s', next_slot);
        EXECUTE format('LOCK TABLE sms_data.%I IN ACCESS EXCLUSIVE MODE', next_name);
        EXECUTE format('SELECT count(*) FROM sms_data.%I', next_name) INTO dropped;
        EXECUTE format('TRUNCATE sms_data.%I', next_name);
        UPDATE sms_data.rejected_ring SET slot = next_slot;
    END IF;
    room := max_bytes - sms_data.rejected_bytes();
END
$$;
