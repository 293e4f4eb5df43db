-- The write path as one statement, in one round trip: the rows of concurrent callbacks, each message and report once.
--
-- `lone`: reports that are the only row of their message here, about the whole message or its only segment; `messages`:
-- the other messages; `reports`: the reports of those. `lone` is sorted by the message's key. Returns the rows that were
-- not stored: `known` is true for a duplicate, and false for a report above its message's limit.
--
-- Nearly every report is the first of its message, so all messages are inserted first, and those that were there already
-- are merged afterwards. Both steps go through the keys in their order, and the second waits for none but rows that were
-- there before the first: so concurrent calls do not deadlock. Rows are looked up by key, one by one, whatever the
-- statistics say: LATERAL with OFFSET 0 leaves the planner no other order, and enable_seqscan no other way to a row. A plan
-- that is made for a table of a few rows would read all of it, and the session would keep that plan.
--
-- The service writes states and reports by this function alone: the right to update a table includes the right to lock
-- it, and to set any state of a message by hand.

CREATE FUNCTION sms_data.store_reports(
    lone sms_data.incoming_report[],
    messages sms_data.incoming_message[],
    reports sms_data.incoming_report[],
    most_reports integer,
    patience_ms integer
)
    RETURNS TABLE (row_id uuid, known boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
AS $$
DECLARE
    given    CONSTANT integer := cardinality(lone) + cardinality(messages);
    inserted integer;
    sorted   sms_data.incoming_message[];
    old_lone sms_data.incoming_report[];
    merging  sms_data.incoming_message[];
    repeated uuid[];
    refused  uuid[];
    merged   uuid[];
    found    integer;
    ours     integer;
BEGIN
    PERFORM set_config('lock_timeout', patience_ms::text, true);
    IF current_setting('synchronous_commit') IN ('off', 'local') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;

    IF cardinality(messages) = 0 THEN
        INSERT INTO sms_data.message (
            first_received_at, happened_at, report_id, segments, segments_reported, part, sequence, message_id,
            provider, recipient_key, status, code, recipient, country, sender, reason, context, envelope_id)
        SELECT n.received_at, n.happened_at, n.report_id,
               CASE WHEN n.segments > 1 THEN least(n.segments, 255) ELSE 1 END,
               CASE WHEN n.segments > 1 THEN least(n.segments, 255) ELSE 1 END,
               coalesce(n.segment, 0), n.sequence,
               n.message_id, n.provider, n.recipient_key, n.status, n.code, n.recipient, n.country, n.sender, n.reason,
               n.context, n.envelope_id
        FROM unnest(lone) AS n
        ON CONFLICT DO NOTHING;
    ELSE
        sorted := sms_data.in_order(messages, lone);
        INSERT INTO sms_data.message (
            first_received_at, happened_at, report_id, segments, segments_reported, part, sequence, message_id,
            provider, recipient_key, status, code, recipient, country, sender, reason, context, envelope_id,
            last_received_at, submitted_at, awaited_since, parts, seen)
        SELECT n.first_received_at, n.happened_at, n.report_id, n.segments, n.segments_reported, n.part, n.sequence,
               n.message_id, n.provider, n.recipient_key, n.status, n.code, n.recipient, n.country, n.sender, n.reason,
               n.context, n.envelope_id, n.last_received_at, n.submitted_at,
               CASE WHEN n.status IN ('unknown', 'enroute', 'accepted') THEN n.submitted_at END, n.parts, n.seen
        FROM unnest(sorted) AS n
        ON CONFLICT DO NOTHING;
    END IF;
    GET DIAGNOSTICS inserted = ROW_COUNT;

    IF inserted < given THEN
        -- A known id stays known, so a duplicate needs no lock.
        SELECT coalesce(array_agg(n) FILTER (WHERE m.is_new), '{}'),
               array_agg(n) FILTER (WHERE NOT m.is_new AND n.report_id <> ALL (m.ids)),
               array_agg(n.report_id) FILTER (WHERE NOT m.is_new AND n.report_id = ANY (m.ids)),
               count(*), count(*) FILTER (WHERE m.is_new)
        INTO lone, old_lone, repeated, found, ours
        FROM unnest(lone) AS n
        CROSS JOIN LATERAL (
            SELECT known.xmin = pg_current_xact_id()::xid AS is_new,
                   coalesce(known.seen, ARRAY[known.report_id]) AS ids
            FROM sms_data.message AS known
            WHERE known.message_id = n.message_id AND known.provider = n.provider
                  AND known.recipient_key = n.recipient_key
            OFFSET 0) AS m;
        IF cardinality(messages) > 0 THEN
            SELECT array_agg(n) FILTER (WHERE NOT m.is_new), found + count(*),
                   ours + count(*) FILTER (WHERE m.is_new)
            INTO merging, found, ours
            FROM unnest(messages) AS n
            CROSS JOIN LATERAL (
                SELECT known.xmin = pg_current_xact_id()::xid AS is_new
                FROM sms_data.message AS known
                WHERE known.message_id = n.message_id AND known.provider = n.provider
                      AND known.recipient_key = n.recipient_key
                OFFSET 0) AS m;
        END IF;
        IF found <> given OR ours <> inserted THEN
            RAISE EXCEPTION 'messages were deleted meanwhile' USING ERRCODE = 'serialization_failure';
        END IF;
        RETURN QUERY SELECT id, true FROM unnest(repeated) AS id;

        lone := lone || old_lone;
        IF old_lone IS NOT NULL AND merging IS NULL THEN
            merged := sms_data.merge_lone(old_lone, most_reports);
            IF cardinality(merged) = cardinality(old_lone) THEN
                old_lone := NULL;
            ELSIF merged IS NOT NULL THEN
                SELECT array_agg(r) INTO old_lone
                FROM unnest(old_lone) AS r
                WHERE r.report_id NOT IN (SELECT new.id FROM unnest(merged) AS new (id));
            END IF;
        END IF;
        IF old_lone IS NOT NULL OR merging IS NOT NULL THEN
            merging := sms_data.in_order(merging, old_lone);
            merged := sms_data.merge_messages(merging, most_reports);
            SELECT array_agg(id) INTO refused
            FROM unnest(merging) AS n CROSS JOIN unnest(coalesce(n.seen, ARRAY[n.report_id])) AS id
            WHERE id NOT IN (SELECT new.id FROM unnest(merged) AS new (id));
        END IF;
    END IF;

    IF cardinality(reports) > 0 THEN
        lone := lone || reports;
    END IF;
    IF refused IS NOT NULL THEN
        RETURN QUERY
            SELECT id, id = ANY (m.ids)
            FROM unnest(merging) AS n
            CROSS JOIN LATERAL (
                SELECT coalesce(known.seen, ARRAY[known.report_id]) AS ids
                FROM sms_data.message AS known
                WHERE known.message_id = n.message_id AND known.provider = n.provider
                      AND known.recipient_key = n.recipient_key
                OFFSET 0) AS m
            CROSS JOIN unnest(coalesce(n.seen, ARRAY[n.report_id])) AS id
            WHERE id IN (SELECT old.id FROM unnest(refused) AS old (id));
        lone := ARRAY(
            SELECT r FROM unnest(lone) AS r
            WHERE r.report_id NOT IN (SELECT old.id FROM unnest(refused) AS old (id)));
    END IF;

    IF cardinality(lone) > 0 THEN
        INSERT INTO sms_data.report (
            received_at, happened_at, report_id, segment, segments, message_id, provider, status, code, raw,
            remote_addr, recipient, country, sender, reason, detail, operator_code, reported_by, context, envelope_id)
        SELECT r.received_at, r.happened_at, r.report_id, r.segment, r.segments, r.message_id, r.provider, r.status,
               r.code, r.raw, r.remote_addr::inet, r.recipient, r.country, r.sender, r.reason, r.detail,
               r.operator_code, r.reported_by, r.context, r.envelope_id
        FROM unnest(lone) AS r;
    END IF;
END
$$;
