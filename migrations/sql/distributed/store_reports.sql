-- The write path, as 0001/store_reports.sql has it: the same call, in one round trip from the service to the node that it is
-- connected to. From there it is one exchange with each node for the messages, one for the reports, one with a single shard
-- for the counts, and the two of a commit in two phases.

CREATE OR REPLACE FUNCTION sms_data.store_reports(
    lone sms_data.incoming_report[],
    messages sms_data.incoming_message[],
    reports sms_data.incoming_report[],
    most_reports integer,
    patience_ms integer
)
    RETURNS TABLE (row_id uuid, known boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    -- One connection to each node: each more would have to prepare and commit a transaction of its own.
    SET citus.max_adaptive_executor_pool_size = 1
AS $$
DECLARE
    sorted  CONSTANT sms_data.incoming_message[] := sms_data.in_order(messages, lone);
    written sms_data.written_message[];
    fresh   uuid[];
    given   uuid[];
BEGIN
    IF sorted IS NULL THEN
        RETURN;
    END IF;
    PERFORM set_config('lock_timeout', patience_ms::text, true);
    IF current_setting('synchronous_commit') IN ('off', 'local') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;

    -- The rows of each shard go to its node by a connection of their own, which is kept for the next call.
    IF current_setting('citus.max_cached_conns_per_worker')::integer < 64 THEN
        PERFORM set_config('citus.max_cached_conns_per_worker', '64', false);
    END IF;

    written := ARRAY(SELECT w FROM sms_data.write_messages(sorted, most_reports) AS w);
    fresh := ARRAY(SELECT id FROM unnest(written) AS w, unnest(w.ids) AS id);
    given := ARRAY(SELECT id FROM unnest(sorted) AS n, unnest(coalesce(n.seen, ARRAY[n.report_id])) AS id);

    IF cardinality(fresh) = cardinality(given) THEN
        lone := lone || reports;
    ELSE
        -- A duplicate, or above the limit.
        RETURN QUERY
            WITH missing AS MATERIALIZED (
                SELECT n.message_id, n.provider, n.recipient_key, id
                FROM unnest(sorted) AS n, unnest(coalesce(n.seen, ARRAY[n.report_id])) AS id
                WHERE id NOT IN (SELECT new.id FROM unnest(fresh) AS new (id))
            )
            SELECT missing.id, missing.id = ANY (coalesce(m.seen, ARRAY[m.report_id]))
            FROM sms_data.message AS m JOIN missing USING (message_id, provider, recipient_key);
        lone := ARRAY(SELECT r FROM unnest(lone || reports) AS r
                      WHERE r.report_id IN (SELECT new.id FROM unnest(fresh) AS new (id)));
    END IF;

    IF cardinality(lone) > 0 THEN
        -- There is no conflict. Without the clause Citus would send the rows by COPY, and an error of such has no code:
        -- the service has to tell a missing partition, and a row that can never be stored, from an outage.
        INSERT INTO sms_data.report (
            received_at, happened_at, report_id, segment, segments, message_id, provider, status, code, raw,
            remote_addr, recipient, country, sender, reason, detail, operator_code, reported_by, context, envelope_id)
        SELECT r.received_at, r.happened_at, r.report_id, r.segment, r.segments, r.message_id, r.provider, r.status,
               r.code, r.raw, r.remote_addr::inet, r.recipient, r.country, r.sender, r.reason, r.detail,
               r.operator_code, r.reported_by, r.context, r.envelope_id
        FROM unnest(lone) AS r
        ON CONFLICT DO NOTHING;
    END IF;
    IF cardinality(written) > 0 THEN
        PERFORM sms_data.count_written(written);
    END IF;
END
$$;
