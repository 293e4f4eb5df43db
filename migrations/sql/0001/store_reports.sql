-- The write path as one statement, in one round trip: the rows of concurrent callbacks, each message and report once.
-- `messages` and `reports` are JSON arrays of objects with the columns' names. Returns the rows that were not stored:
-- `known` is true for a duplicate, and false for a report above its message's limit.
--
-- The service writes states and reports by this function alone: the right to update a table includes the right to lock
-- it, and to set any state of a message by hand.

CREATE FUNCTION sms_data.store_reports(
    messages json,
    reports json,
    given integer,
    most_reports integer,
    patience_ms integer
)
    RETURNS TABLE (row_id uuid, known boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    fresh uuid[];
BEGIN
    PERFORM set_config('lock_timeout', patience_ms::text, true);
    IF current_setting('synchronous_commit') IN ('off', 'local') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;

    -- Sorted, because concurrent upserts of several rows in different orders deadlock.
    WITH written AS (
        INSERT INTO sms_data.message AS m (
            message_id, provider, recipient_key, recipient, country, sender, status, reason, code, happened_at,
            segments, segments_reported, context, first_received_at, last_received_at, submitted_at,
            awaited_since, parts, seen, envelope_id)
        SELECT new.message_id, new.provider, new.recipient_key, new.recipient, new.country, new.sender, new.status,
               new.reason, new.code, new.happened_at, new.segments, new.segments_reported, new.context,
               new.first_received_at, new.last_received_at, new.submitted_at,
               CASE WHEN new.status IN ('unknown', 'enroute', 'accepted') THEN new.submitted_at END,
               new.parts, new.seen, new.envelope_id
        FROM json_to_recordset(messages) AS new (
            message_id text, provider text, recipient_key text, recipient text, country text, sender text,
            status text, reason text, code text, happened_at timestamptz, segments smallint,
            segments_reported smallint, context text, first_received_at timestamptz, last_received_at timestamptz,
            submitted_at timestamptz, parts jsonb, seen uuid[], envelope_id uuid)
        ORDER BY new.message_id COLLATE "C", new.provider COLLATE "C", new.recipient_key COLLATE "C"
        ON CONFLICT (message_id, provider, recipient_key) DO UPDATE SET
            (status, reason, code, happened_at, segments, segments_reported, awaited_since) = (
                SELECT s.status, s.reason, s.code, s.happened_at, s.segments, s.segments_reported,
                       CASE WHEN s.status IN ('unknown', 'enroute', 'accepted')
                            THEN least(m.submitted_at, excluded.submitted_at) END
                FROM sms_data.message_state(
                    sms_data.merge_parts(m.parts, excluded.parts), greatest(m.segments, excluded.segments)) AS s),
            parts = sms_data.merge_parts(m.parts, excluded.parts),
            recipient = greatest(m.recipient, excluded.recipient),
            country = greatest(m.country, excluded.country),
            sender = greatest(m.sender, excluded.sender),
            context = greatest(m.context, excluded.context),
            envelope_id = greatest(m.envelope_id, excluded.envelope_id),
            submitted_at = least(m.submitted_at, excluded.submitted_at),
            first_received_at = least(m.first_received_at, excluded.first_received_at),
            last_received_at = greatest(m.last_received_at, excluded.last_received_at),
            seen_before = cardinality(m.seen),
            seen = m.seen || sms_data.unseen(m.seen, excluded.seen)
        WHERE NOT excluded.seen <@ m.seen AND cardinality(m.seen) < most_reports
        RETURNING m.seen[m.seen_before + 1:] AS ids
    )
    SELECT array_agg(id) INTO fresh FROM written, unnest(written.ids) AS id;

    INSERT INTO sms_data.report (
        report_id, message_id, provider, recipient, country, sender, segment, segments, status, reason, code, detail,
        operator_code, reported_by, context, happened_at, received_at, remote_addr, raw, envelope_id)
    SELECT new.*
    FROM json_to_recordset(reports) AS new (
        report_id uuid, message_id text, provider text, recipient text, country text, sender text, segment smallint,
        segments smallint, status text, reason text, code text, detail text, operator_code text, reported_by text,
        context jsonb, happened_at timestamptz, received_at timestamptz, remote_addr inet, raw jsonb,
        envelope_id uuid)
    JOIN unnest(fresh) AS id ON id = new.report_id;

    IF coalesce(cardinality(fresh), 0) < given THEN
        -- One look-up by the key for each message, with any statistics: a plain join that is planned before the table
        -- is analysed would read the whole table for one duplicate, and the session would keep that plan.
        RETURN QUERY
            SELECT id, id = ANY (m.seen)
            FROM json_to_recordset(messages) AS new (message_id text, provider text, recipient_key text, seen uuid[])
            CROSS JOIN LATERAL (
                SELECT known.seen
                FROM sms_data.message AS known
                WHERE known.message_id = new.message_id AND known.provider = new.provider
                      AND known.recipient_key = new.recipient_key
                OFFSET 0) AS m
            CROSS JOIN unnest(new.seen) AS id
            WHERE id <> ALL (coalesce(fresh, '{}'));
    END IF;
END
$$;
