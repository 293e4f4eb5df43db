-- Parts of store_reports.sql, for messages that are not the first of their key.

-- All messages in the order of their keys, in one shape.
CREATE FUNCTION sms_data.in_order(messages sms_data.incoming_message[], lone sms_data.incoming_report[])
    RETURNS sms_data.incoming_message[]
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (
        SELECT array_agg(n ORDER BY (n).message_id, (n).provider, (n).recipient_key)
        FROM (
            SELECT m AS n FROM unnest(messages) AS m
            UNION ALL
            SELECT ROW (r.message_id, r.provider, r.recipient_key, r.status, r.reason, r.code, r.happened_at,
                        r.sequence, total.n, total.n, r.recipient, r.country, r.sender, r.context, r.envelope_id,
                        r.received_at, NULL, NULL, coalesce(r.segment, 0), NULL, r.report_id,
                        NULL)::sms_data.incoming_message
            FROM unnest(lone) AS r,
                 LATERAL (SELECT CASE WHEN r.segments > 1 THEN least(r.segments, 255) ELSE 1 END AS n) AS total
        ) AS given);
END
$$;

-- Merges each report into its message, if both are about the same part and it decides the state: the greater one does, and
-- nothing beyond the row is needed. Locks all these messages, and returns the ids of the merged reports.
CREATE FUNCTION sms_data.merge_lone(lone sms_data.incoming_report[], most_reports integer) RETURNS uuid[]
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    merged uuid[];
BEGIN
    WITH written AS (
        INSERT INTO sms_data.message AS m (
            first_received_at, happened_at, report_id, segments, segments_reported, part, sequence, message_id,
            provider, recipient_key, status, code, recipient, country, sender, reason, context, envelope_id)
        SELECT n.received_at, n.happened_at, n.report_id,
               CASE WHEN n.segments > 1 THEN least(n.segments, 255) ELSE 1 END,
               CASE WHEN n.segments > 1 THEN least(n.segments, 255) ELSE 1 END,
               coalesce(n.segment, 0), n.sequence,
               n.message_id, n.provider, n.recipient_key, n.status, n.code, n.recipient, n.country, n.sender, n.reason,
               n.context, n.envelope_id
        FROM unnest(lone) AS n
        ON CONFLICT (message_id, provider, recipient_key) DO UPDATE SET
            (status, reason, code, happened_at, sequence, awaited_since) = (
                SELECT CASE WHEN greater THEN excluded.status ELSE m.status END,
                       CASE WHEN greater THEN excluded.reason ELSE m.reason END,
                       CASE WHEN greater THEN excluded.code ELSE m.code END,
                       CASE WHEN greater THEN excluded.happened_at ELSE m.happened_at END,
                       CASE WHEN greater THEN excluded.sequence ELSE m.sequence END,
                       CASE WHEN CASE WHEN greater THEN excluded.status ELSE m.status END
                                 IN ('unknown', 'enroute', 'accepted') THEN m.submitted_at END
                FROM (SELECT (sms_data.rank(excluded.status), coalesce(excluded.happened_at, '-infinity'),
                              coalesce(excluded.sequence, 0), excluded.code, excluded.status,
                              coalesce(excluded.reason, ''))
                             > (sms_data.rank(m.status), coalesce(m.happened_at, '-infinity'),
                                coalesce(m.sequence, 0), m.code, m.status, coalesce(m.reason, '')) AS greater
                      OFFSET 0) AS compared),
            segments = greatest(m.segments, excluded.segments),
            segments_reported = greatest(m.segments_reported, excluded.segments_reported),
            recipient = greatest(m.recipient, excluded.recipient),
            country = greatest(m.country, excluded.country),
            sender = greatest(m.sender, excluded.sender),
            context = greatest(m.context, excluded.context),
            envelope_id = greatest(m.envelope_id, excluded.envelope_id),
            first_received_at = least(m.first_received_at, excluded.first_received_at),
            last_received_at = greatest(m.first_received_at, m.last_received_at, excluded.first_received_at),
            seen_before = coalesce(cardinality(m.seen), 1),
            seen = coalesce(m.seen, ARRAY[m.report_id]) || excluded.report_id,
            report_id = NULL
        WHERE m.part = excluded.part AND (m.part = 0 OR (m.segments = 1 AND excluded.segments = 1))
              AND excluded.report_id <> ALL (coalesce(m.seen, ARRAY[m.report_id]))
              AND coalesce(cardinality(m.seen), 1) < most_reports
        RETURNING coalesce(m.seen[m.seen_before + 1], m.report_id) AS id
    )
    SELECT array_agg(id) INTO merged FROM written;
    RETURN merged;
END
$$;

-- Merges each message into the one that is there, and returns the ids of the rows that are new to it. A row that it
-- inserts is one that retention has deleted a moment ago.
CREATE FUNCTION sms_data.merge_messages(messages sms_data.incoming_message[], most_reports integer) RETURNS uuid[]
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    merged uuid[];
BEGIN
    WITH written AS (
        INSERT INTO sms_data.message AS m (
            first_received_at, happened_at, report_id, segments, segments_reported, part, sequence, message_id,
            provider, recipient_key, status, code, recipient, country, sender, reason, context, envelope_id,
            last_received_at, submitted_at, awaited_since, parts, seen)
        SELECT n.first_received_at, n.happened_at, n.report_id, n.segments, n.segments_reported, n.part, n.sequence,
               n.message_id, n.provider, n.recipient_key, n.status, n.code, n.recipient, n.country, n.sender, n.reason,
               n.context, n.envelope_id, n.last_received_at, n.submitted_at,
               CASE WHEN n.status IN ('unknown', 'enroute', 'accepted') THEN n.submitted_at END, n.parts, n.seen
        FROM unnest(messages) AS n
        ON CONFLICT (message_id, provider, recipient_key) DO UPDATE SET
            (status, reason, code, happened_at, sequence, segments, segments_reported, awaited_since, part, parts) = (
                -- Of one segment, or about the same part: the greater state is the state.
                SELECT CASE WHEN greater THEN excluded.status ELSE m.status END,
                       CASE WHEN greater THEN excluded.reason ELSE m.reason END,
                       CASE WHEN greater THEN excluded.code ELSE m.code END,
                       CASE WHEN greater THEN excluded.happened_at ELSE m.happened_at END,
                       CASE WHEN greater THEN excluded.sequence ELSE m.sequence END,
                       greatest(m.segments, excluded.segments),
                       greatest(m.segments_reported, excluded.segments_reported),
                       CASE WHEN CASE WHEN greater THEN excluded.status ELSE m.status END
                                 IN ('unknown', 'enroute', 'accepted')
                            THEN least(m.submitted_at, excluded.submitted_at) END,
                       CASE WHEN m.part = excluded.part THEN m.part END,
                       CASE WHEN (m.part = excluded.part) IS NOT TRUE THEN sms_data.merge_parts(
                           coalesce(m.parts, sms_data.only_part(m.part, m.status, m.reason, m.code, m.happened_at,
                                                                m.sequence)),
                           coalesce(excluded.parts, sms_data.only_part(excluded.part, excluded.status, excluded.reason,
                                                                       excluded.code, excluded.happened_at,
                                                                       excluded.sequence))) END
                FROM (SELECT (sms_data.rank(excluded.status), coalesce(excluded.happened_at, '-infinity'),
                              coalesce(excluded.sequence, 0), excluded.code, excluded.status,
                              coalesce(excluded.reason, ''))
                             > (sms_data.rank(m.status), coalesce(m.happened_at, '-infinity'),
                                coalesce(m.sequence, 0), m.code, m.status, coalesce(m.reason, '')) AS greater
                      OFFSET 0) AS compared
                WHERE (m.segments = 1 AND excluded.segments = 1) OR (m.part = excluded.part AND m.part <= 0)
                UNION ALL
                SELECT s.status, s.reason, s.code, s.happened_at, NULL, s.segments, s.segments_reported,
                       CASE WHEN s.status IN ('unknown', 'enroute', 'accepted')
                            THEN least(m.submitted_at, excluded.submitted_at) END,
                       NULL, p.parts
                FROM (SELECT sms_data.merge_parts(
                             coalesce(m.parts, sms_data.only_part(m.part, m.status, m.reason, m.code, m.happened_at,
                                                                  m.sequence)),
                             coalesce(excluded.parts, sms_data.only_part(
                                 excluded.part, excluded.status, excluded.reason, excluded.code, excluded.happened_at,
                                 excluded.sequence))) AS parts
                      OFFSET 0) AS p,
                     LATERAL sms_data.message_state(p.parts, greatest(m.segments, excluded.segments)) AS s
                WHERE ((m.segments = 1 AND excluded.segments = 1) OR (m.part = excluded.part AND m.part <= 0))
                      IS NOT TRUE),
            recipient = greatest(m.recipient, excluded.recipient),
            country = greatest(m.country, excluded.country),
            sender = greatest(m.sender, excluded.sender),
            context = greatest(m.context, excluded.context),
            envelope_id = greatest(m.envelope_id, excluded.envelope_id),
            submitted_at = least(m.submitted_at, excluded.submitted_at),
            first_received_at = least(m.first_received_at, excluded.first_received_at),
            last_received_at = greatest(m.first_received_at, m.last_received_at,
                                        excluded.first_received_at, excluded.last_received_at),
            seen_before = coalesce(cardinality(m.seen), 1),
            seen = CASE WHEN excluded.seen IS NULL
                        THEN coalesce(m.seen, ARRAY[m.report_id]) || excluded.report_id
                        ELSE coalesce(m.seen, ARRAY[m.report_id])
                             || sms_data.unseen(coalesce(m.seen, ARRAY[m.report_id]), excluded.seen) END,
            report_id = NULL
        WHERE NOT coalesce(excluded.seen, ARRAY[excluded.report_id]) <@ coalesce(m.seen, ARRAY[m.report_id])
              AND coalesce(cardinality(m.seen), 1) < most_reports
        RETURNING CASE WHEN m.seen_before IS NULL THEN coalesce(m.seen, ARRAY[m.report_id])
                       ELSE m.seen[m.seen_before + 1:] END AS ids
    )
    SELECT array_agg(id) INTO merged FROM written, unnest(written.ids) AS id;
    RETURN merged;
END
$$;
