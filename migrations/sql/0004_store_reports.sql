-- The write path as one statement, in one round trip: the rows of concurrent callbacks, each message and report once.
-- `messages` and `reports` are JSON arrays of objects with the columns' names. Returns the rows that were not stored:
-- `known` is true for a duplicate, and false for a report above its message's limit.

CREATE FUNCTION sms_data.store_reports(
    messages json,
    reports json,
    given integer,
    most_reports integer,
    patience_ms integer
)
    RETURNS TABLE (row_id uuid, known boolean)
    LANGUAGE plpgsql
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
            awaited_since, parts, seen)
        SELECT new.message_id, new.provider, new.recipient_key, new.recipient, new.country, new.sender, new.status,
               new.reason, new.code, new.happened_at, new.segments, new.segments_reported, new.context,
               new.first_received_at, new.last_received_at, new.submitted_at,
               CASE WHEN new.status IN ('unknown', 'enroute', 'accepted') THEN new.submitted_at END,
               new.parts, new.seen
        FROM json_to_recordset(messages) AS new (
            message_id text, provider text, recipient_key text, recipient text, country text, sender text,
            status text, reason text, code text, happened_at timestamptz, segments smallint,
            segments_reported smallint, context text, first_received_at timestamptz, last_received_at timestamptz,
            submitted_at timestamptz, parts jsonb, seen uuid[])
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
        operator_code, reported_by, context, happened_at, received_at, remote_addr, raw)
    SELECT new.*
    FROM json_to_recordset(reports) AS new (
        report_id uuid, message_id text, provider text, recipient text, country text, sender text, segment smallint,
        segments smallint, status text, reason text, code text, detail text, operator_code text, reported_by text,
        context jsonb, happened_at timestamptz, received_at timestamptz, remote_addr inet, raw jsonb)
    JOIN unnest(fresh) AS id ON id = new.report_id;

    IF coalesce(cardinality(fresh), 0) < given THEN
        RETURN QUERY
            SELECT id, id = ANY (m.seen)
            FROM json_to_recordset(messages) AS new (message_id text, provider text, recipient_key text, seen uuid[])
            JOIN sms_data.message AS m USING (message_id, provider, recipient_key),
                 unnest(new.seen) AS id
            WHERE id <> ALL (coalesce(fresh, '{}'));
    END IF;
END
$$;

REVOKE ALL ON FUNCTION sms_data.store_reports FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sms_data.store_reports TO sms_writer;
