-- Maintenance of the counts (0001/folding.sql), anchor by anchor: what has one anchor lies in one shard, so a query sees it
-- before a fold or after it, although Citus has no snapshot of all shards. No trigger keeps the counts by the day the same
-- (0002/following.sql): each function here changes both.

-- Who maintains the counts locks this, on the coordinator alone: Citus takes the lock of a distributed table node by node, and
-- cannot say that it is taken. Nobody but the owner may.
CREATE TABLE IF NOT EXISTS sms_data.turn (holder integer);

-- Adds rows of the counts by the hour, of one anchor, to the counts by the hour and by the day.
CREATE OR REPLACE FUNCTION sms_data.add_counts(added sms_data.message_count[], to_hours boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_hours THEN
        INSERT INTO sms_data.message_count AS c
        SELECT hour, submitted_hour, provider, country, status, reason, code, accepted, reported,
               sum(messages), sum(reports), sum(segments), sum(fees), sum(requests), anchor
        FROM unnest(added) AS moved GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, anchor
        HAVING (sum(messages), sum(reports), sum(segments), sum(fees), sum(requests)) <> (0, 0, 0, 0, 0)
        ON CONFLICT (hour, submitted_hour, provider, country, status, reason, code, accepted, reported, anchor) DO UPDATE
            SET messages = c.messages + excluded.messages, reports = c.reports + excluded.reports,
                segments = c.segments + excluded.segments, fees = c.fees + excluded.fees,
                requests = c.requests + excluded.requests;
    END IF;
    INSERT INTO sms_data.message_day_count AS c
    SELECT * FROM (
        SELECT sms_data.utc_day(hour), provider, country, status, reason, sum(messages) AS messages,
               coalesce(sum(messages) FILTER (WHERE accepted), 0) AS taken,
               coalesce(sum(messages) FILTER (WHERE NOT reported), 0) AS silent,
               sum(reports) AS reports, sum(segments) AS segments, sum(fees) AS fees, sum(requests) AS requests, anchor
        FROM unnest(added) AS moved GROUP BY 1, 2, 3, 4, 5, anchor) AS sums
    WHERE (messages, taken, silent, reports, segments, fees, requests) <> (0, 0, 0, 0, 0, 0, 0)
    ON CONFLICT (day, provider, country, status, reason, anchor) DO UPDATE
        SET messages = c.messages + excluded.messages, taken = c.taken + excluded.taken,
            silent = c.silent + excluded.silent, reports = c.reports + excluded.reports,
            segments = c.segments + excluded.segments, fees = c.fees + excluded.fees,
            requests = c.requests + excluded.requests;
    INSERT INTO sms_data.code_day_count AS c
    SELECT sms_data.utc_day(hour), provider, country, status, reason, code, sum(messages), sum(reports), anchor
    FROM unnest(added) AS moved GROUP BY 1, 2, 3, 4, 5, 6, anchor HAVING (sum(messages), sum(reports)) <> (0, 0)
    ON CONFLICT (day, provider, country, status, reason, code, anchor) DO UPDATE
        SET messages = c.messages + excluded.messages, reports = c.reports + excluded.reports;
END
$$;

-- The same of a histogram: `name` is that of its tables, without `_delta`.
CREATE OR REPLACE FUNCTION sms_data.fold_histogram(name text, counted text, most integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    moved sms_data.delivery_time_delta[];
BEGIN
    EXECUTE format($fold$
        WITH gone AS (
            DELETE FROM sms_data.%1$s_delta
            WHERE anchor = %2$L AND ctid = ANY (ARRAY(SELECT ctid FROM sms_data.%1$s_delta WHERE anchor = %2$L LIMIT %3$s))
            RETURNING hour, provider, country, bucket, messages, anchor
        )
        SELECT array_agg(ROW (hour, provider, country, bucket, messages, anchor)::sms_data.delivery_time_delta)
        FROM gone$fold$, name, counted, most) INTO moved;
    IF moved IS NULL THEN
        RETURN 0;
    END IF;
    EXECUTE format($fold$
        INSERT INTO sms_data.%1$s_count AS c (hour, provider, country, bucket, messages, anchor)
        SELECT hour, provider, country, bucket, sum(messages), anchor FROM unnest($1) AS moved
        GROUP BY 1, 2, 3, 4, 6 HAVING sum(messages) <> 0
        ON CONFLICT (hour, provider, country, bucket, anchor) DO UPDATE SET messages = c.messages + excluded.messages
        $fold$, name) USING moved;
    IF name = 'delivery_time' THEN
        INSERT INTO sms_data.delivery_time_day_count AS c (day, provider, country, bucket, messages, anchor)
        SELECT sms_data.utc_day(hour), provider, country, bucket, sum(messages), anchor FROM unnest(moved) AS moved
        GROUP BY 1, 2, 3, 4, 6 HAVING sum(messages) <> 0
        ON CONFLICT (day, provider, country, bucket, anchor) DO UPDATE SET messages = c.messages + excluded.messages;
    END IF;
    RETURN cardinality(moved);
END
$$;

-- Up to `most` deltas of each anchor and table.
CREATE OR REPLACE FUNCTION sms_data.fold_counts(most integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET citus.max_adaptive_executor_pool_size = 1
AS $$
DECLARE
    counted text;
    moved   sms_data.message_count[];
    total   integer := 0;
BEGIN
    BEGIN
        LOCK TABLE sms_data.turn IN SHARE ROW EXCLUSIVE MODE NOWAIT;
    EXCEPTION WHEN lock_not_available THEN
        RETURN 0;
    END;
    FOREACH counted IN ARRAY sms_data.anchors() LOOP
        EXECUTE format($fold$
            WITH gone AS (
                DELETE FROM sms_data.message_delta
                WHERE anchor = %1$L AND ctid = ANY (ARRAY(SELECT ctid FROM sms_data.message_delta WHERE anchor = %1$L
                                                          LIMIT %2$s))
                RETURNING hour, submitted_hour, provider, country, status, reason, code, accepted, reported, messages,
                          reports, segments, fees, requests, anchor
            )
            SELECT array_agg(ROW (hour, submitted_hour, provider, country, status, reason, code, accepted, reported,
                                  messages, reports, segments, fees, requests, anchor)::sms_data.message_count)
            FROM gone$fold$, counted, most) INTO moved;
        IF moved IS NOT NULL THEN
            PERFORM sms_data.add_counts(moved, true);
            total := total + cardinality(moved);
        END IF;
        total := total + sms_data.fold_histogram('delivery_time', counted, most)
                       + sms_data.fold_histogram('report_lag', counted, most);
    END LOOP;
    RETURN total;
END
$$;

CREATE OR REPLACE FUNCTION sms_data.thin_counts(since timestamptz, before timestamptz, most integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    hours     timestamptz[];
    providers text[];
    counted   text;
    taken     sms_data.message_count[];
    thinned   integer := 0;
BEGIN
    LOCK TABLE sms_data.turn IN SHARE ROW EXCLUSIVE MODE;
    SELECT array_agg(crowded.hour), array_agg(crowded.provider) INTO hours, providers
    FROM (
        SELECT c.hour, c.provider FROM sms_data.message_count AS c
        WHERE c.hour >= since AND c.hour < thin_counts.before
        GROUP BY c.hour, c.provider HAVING count(DISTINCT c.code) > most
    ) AS crowded;
    IF hours IS NULL THEN
        RETURN 0;
    END IF;
    FOREACH counted IN ARRAY sms_data.anchors() LOOP
        WITH crowded AS MATERIALIZED (
            SELECT hour, provider FROM unnest(hours, providers) AS c (hour, provider)
        ), gone AS (
            DELETE FROM sms_data.message_count AS c USING crowded
            WHERE c.anchor = counted AND c.hour = crowded.hour AND c.provider = crowded.provider AND c.code <> ''
                  AND NOT EXISTS (SELECT FROM sms_data.code AS known
                                  WHERE known.provider = c.provider AND known.code = c.code)
            RETURNING c.hour, c.submitted_hour, c.provider, c.country, c.status, c.reason, c.code, c.accepted, c.reported,
                      c.messages, c.reports, c.segments, c.fees, c.requests, c.anchor
        )
        SELECT array_agg(ROW (gone.*)::sms_data.message_count) INTO taken FROM gone;
        CONTINUE WHEN taken IS NULL;
        thinned := thinned + cardinality(taken);
        -- Taken from their code by the day, and given to none.
        PERFORM sms_data.add_counts(ARRAY(
            SELECT ROW (hour, submitted_hour, provider, country, status, reason, code, accepted, reported, -messages,
                        -reports, -segments, -fees, -requests, anchor)::sms_data.message_count FROM unnest(taken)), false);
        PERFORM sms_data.add_counts(ARRAY(
            SELECT ROW (hour, submitted_hour, provider, country, status, reason, '', accepted, reported, messages,
                        reports, segments, fees, requests, anchor)::sms_data.message_count FROM unnest(taken)), true);
        DELETE FROM sms_data.code_day_count
        WHERE anchor = counted AND day = ANY (ARRAY(SELECT DISTINCT sms_data.utc_day(c.hour) FROM unnest(taken) AS c))
              AND messages = 0 AND reports = 0;
    END LOOP;
    RETURN thinned;
END
$$;

-- Citus has no snapshot of all shards, so writers and folds wait meanwhile: reports in the spool.
CREATE OR REPLACE FUNCTION sms_data.recount() RETURNS integer
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    since   timestamptz;
    anchor  CONSTANT text := sms_data.some_anchor();
    wrong   integer;
    total   integer;
BEGIN
    SELECT before INTO since FROM sms_data.counts_only FOR UPDATE;
    LOCK TABLE sms_data.turn IN SHARE ROW EXCLUSIVE MODE;
    LOCK TABLE sms_data.message_delta IN SHARE ROW EXCLUSIVE MODE;
    -- What a node had prepared when it died is seen there once Citus has ended it, and elsewhere already.
    FOR attempt IN 1 .. 600 LOOP
        EXIT WHEN NOT EXISTS (
            SELECT FROM run_command_on_all_nodes($c$ SELECT count(*) FROM pg_prepared_xacts
                                                     WHERE database = current_database() AND gid LIKE 'citus%' $c$)
            WHERE result <> '0');
        IF attempt = 600 THEN
            RAISE EXCEPTION 'a node does not answer, or has prepared a transaction that Citus has not ended'
                USING ERRCODE = 'object_not_in_prerequisite_state';
        END IF;
        PERFORM pg_sleep(0.1);
    END LOOP;
    INSERT INTO sms_data.message_delta (
        hour, submitted_hour, provider, country, status, reason, code, accepted, reported, messages, reports, segments,
        fees, requests, anchor)
    SELECT hour, submitted_hour, provider, country, status, reason, code, accepted, reported,
           sum(messages), sum(reports), sum(segments), sum(fees), sum(requests), anchor
    FROM (
        SELECT sms_data.utc_hour(first_received_at) AS hour,
               sms_data.utc_hour(coalesce(submitted_at, first_received_at)) AS submitted_hour,
               provider, coalesce(country, '') AS country, status, coalesce(reason, '') AS reason,
               coalesce(code, '') AS code, sms_data.is_accepted(parts, part, status) AS accepted,
               sms_data.is_reported(parts, part) AS reported,
               count(*) AS messages, sum(sms_data.report_count(parts, part, seen)) AS reports,
               sum(segments) AS segments, 0 AS fees, 0 AS requests
        FROM sms_data.message WHERE first_received_at >= since
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
        UNION ALL
        SELECT sms_data.utc_hour(received_at), sms_data.utc_hour(submitted_at), provider, coalesce(country, ''), status,
               coalesce(reason, ''), code, status = 'enroute', false, 0, 0, 0, coalesce(sum(fee), 0), count(*)
        FROM sms_data.submission WHERE received_at >= since
        GROUP BY 1, 2, 3, 4, 5, 6, 7
        UNION ALL
        SELECT hour, submitted_hour, provider, country, status, reason, code, accepted, reported,
               -sum(messages), -sum(reports), -sum(segments), -sum(fees), -sum(requests)
        FROM sms_data.message_counted WHERE hour >= since
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    ) AS side
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    HAVING (sum(messages), sum(reports), sum(segments), sum(fees), sum(requests)) <> (0, 0, 0, 0, 0);
    GET DIAGNOSTICS total = ROW_COUNT;
    since := since + interval '2 days';
    INSERT INTO sms_data.delivery_time_delta (hour, provider, country, bucket, messages, anchor)
    SELECT hour, provider, country, bucket, sum(messages), anchor
    FROM (
        SELECT sms_data.utc_hour(submitted_at) AS hour, provider, coalesce(country, '') AS country,
               sms_data.time_bucket(extract(epoch FROM happened_at - submitted_at)) AS bucket, count(*) AS messages
        FROM sms_data.message
        WHERE status = 'delivered' AND happened_at IS NOT NULL AND submitted_at >= since
        GROUP BY 1, 2, 3, 4
        UNION ALL
        SELECT hour, provider, country, bucket, -sum(messages) FROM sms_data.delivery_time_counted WHERE hour >= since
        GROUP BY 1, 2, 3, 4
    ) AS side
    GROUP BY 1, 2, 3, 4 HAVING sum(messages) <> 0;
    GET DIAGNOSTICS wrong = ROW_COUNT;
    total := total + wrong;
    INSERT INTO sms_data.report_lag_delta (hour, provider, country, bucket, messages, anchor)
    SELECT hour, provider, country, bucket, sum(messages), anchor
    FROM (
        SELECT sms_data.utc_hour(submitted_at) AS hour, provider, coalesce(country, '') AS country,
               sms_data.time_bucket(extract(epoch FROM coalesce(last_received_at, first_received_at) - submitted_at)) AS bucket,
               count(*) AS messages
        FROM sms_data.message
        WHERE submitted_at >= since AND awaited_since IS NULL AND sms_data.is_reported(parts, part)
        GROUP BY 1, 2, 3, 4
        UNION ALL
        SELECT hour, provider, country, bucket, -sum(messages) FROM sms_data.report_lag_counted WHERE hour >= since
        GROUP BY 1, 2, 3, 4
    ) AS side
    GROUP BY 1, 2, 3, 4 HAVING sum(messages) <> 0;
    GET DIAGNOSTICS wrong = ROW_COUNT;
    RETURN total + wrong;
END
$$;
