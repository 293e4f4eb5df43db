-- Maintenance of the counts. Each function is one transaction, so that the views show the same before and after it.

-- Moves up to `most` rows of each delta table into the counts, and returns the number of moved rows. One session at a time;
-- another one returns at once. Not by an advisory lock, which any login may hold: no other role may lock this table.
CREATE FUNCTION sms_data.fold_counts(most integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    folded integer;
    total  integer := 0;
    name   text;
BEGIN
    BEGIN
        LOCK TABLE sms_data.message_count IN SHARE ROW EXCLUSIVE MODE NOWAIT;
    EXCEPTION WHEN lock_not_available THEN
        RETURN 0;
    END;
    WITH moved AS (
        DELETE FROM sms_data.message_delta
        WHERE ctid = ANY (ARRAY(SELECT ctid FROM sms_data.message_delta LIMIT most))
        RETURNING *
    ), added AS (
        INSERT INTO sms_data.message_count AS c
        SELECT hour, submitted_hour, provider, country, status, reason, code, accepted, reported,
               sum(messages), sum(reports), sum(segments), sum(fees), sum(requests)
        FROM moved GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
        HAVING (sum(messages), sum(reports), sum(segments), sum(fees), sum(requests)) <> (0, 0, 0, 0, 0)
        ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9
        ON CONFLICT (hour, submitted_hour, provider, country, status, reason, code, accepted, reported) DO UPDATE
            SET messages = c.messages + excluded.messages, reports = c.reports + excluded.reports,
                segments = c.segments + excluded.segments, fees = c.fees + excluded.fees,
                requests = c.requests + excluded.requests
    )
    SELECT count(*) INTO folded FROM moved;
    total := total + folded;
    FOREACH name IN ARRAY ARRAY['delivery_time', 'report_lag'] LOOP
        EXECUTE format($fold$
            WITH moved AS (
                DELETE FROM sms_data.%1$s_delta
                WHERE ctid = ANY (ARRAY(SELECT ctid FROM sms_data.%1$s_delta LIMIT $1))
                RETURNING *
            ), added AS (
                INSERT INTO sms_data.%1$s_count AS c
                SELECT hour, provider, country, bucket, sum(messages) FROM moved
                GROUP BY 1, 2, 3, 4 HAVING sum(messages) <> 0
                ORDER BY 1, 2, 3, 4
                ON CONFLICT (hour, provider, country, bucket) DO UPDATE SET messages = c.messages + excluded.messages
            )
            SELECT count(*) FROM moved$fold$, name) INTO folded USING most;
        total := total + folded;
    END LOOP;
    RETURN total;
END
$$;

-- Counts without their code what has one that no catalogue names, in hours with more than `most` different codes: a stranger
-- can invent a code for each report, and the counts outlive the messages. Of hours whose messages are gone, so that a
-- recount does not find them. Returns the number of rows that went.
CREATE FUNCTION sms_data.thin_counts(since timestamptz, before timestamptz, most integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    thinned integer;
BEGIN
    WITH crowded AS (
        SELECT c.hour, c.provider FROM sms_data.message_count AS c
        WHERE c.hour >= since AND c.hour < thin_counts.before
        GROUP BY c.hour, c.provider HAVING count(DISTINCT c.code) > most
    ), gone AS (
        DELETE FROM sms_data.message_count AS c USING crowded
        WHERE c.hour = crowded.hour AND c.provider = crowded.provider AND c.code <> ''
              AND NOT EXISTS (SELECT FROM sms_data.code AS known WHERE (known.provider, known.code) = (c.provider, c.code))
        RETURNING c.*
    ), added AS (
        INSERT INTO sms_data.message_count AS c
        SELECT hour, submitted_hour, provider, country, status, reason, '', accepted, reported,
               sum(messages), sum(reports), sum(segments), sum(fees), sum(requests)
        FROM gone GROUP BY 1, 2, 3, 4, 5, 6, 8, 9
        ON CONFLICT (hour, submitted_hour, provider, country, status, reason, code, accepted, reported) DO UPDATE
            SET messages = c.messages + excluded.messages, reports = c.reports + excluded.reports,
                segments = c.segments + excluded.segments, fees = c.fees + excluded.fees,
                requests = c.requests + excluded.requests
    )
    SELECT count(*) INTO thinned FROM gone;
    RETURN thinned;
END
$$;

-- Compares the counts with the messages and submissions of all hours from which none is gone, and adds the difference as
-- deltas. Returns the number of rows of the counts that were wrong. Writers go on meanwhile: each statement sees messages
-- and their counts as of one moment. A histogram's hours are of the submission, which may be told of late.
CREATE FUNCTION sms_data.recount() RETURNS integer
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    since timestamptz;
    wrong integer;
    total integer;
BEGIN
    -- Locked against another recount, and against retention that begins to delete meanwhile.
    SELECT before INTO since FROM sms_data.counts_only FOR UPDATE;
    INSERT INTO sms_data.message_delta
    SELECT hour, submitted_hour, provider, country, status, reason, code, accepted, reported,
           sum(messages), sum(reports), sum(segments), sum(fees), sum(requests)
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
               -messages, -reports, -segments, -fees, -requests
        FROM sms_data.message_counted WHERE hour >= since
    ) AS side
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    HAVING (sum(messages), sum(reports), sum(segments), sum(fees), sum(requests)) <> (0, 0, 0, 0, 0);
    GET DIAGNOSTICS total = ROW_COUNT;
    since := since + interval '2 days';
    INSERT INTO sms_data.delivery_time_delta
    SELECT hour, provider, country, bucket, sum(messages)
    FROM (
        SELECT sms_data.utc_hour(submitted_at) AS hour, provider, coalesce(country, '') AS country,
               sms_data.time_bucket(extract(epoch FROM happened_at - submitted_at)) AS bucket, count(*) AS messages
        FROM sms_data.message
        WHERE status = 'delivered' AND happened_at IS NOT NULL AND submitted_at >= since
        GROUP BY 1, 2, 3, 4
        UNION ALL
        SELECT hour, provider, country, bucket, -messages FROM sms_data.delivery_time_counted WHERE hour >= since
    ) AS side
    GROUP BY 1, 2, 3, 4 HAVING sum(messages) <> 0;
    GET DIAGNOSTICS wrong = ROW_COUNT;
    total := total + wrong;
    INSERT INTO sms_data.report_lag_delta
    SELECT hour, provider, country, bucket, sum(messages)
    FROM (
        SELECT sms_data.utc_hour(submitted_at) AS hour, provider, coalesce(country, '') AS country,
               sms_data.time_bucket(extract(epoch FROM coalesce(last_received_at, first_received_at) - submitted_at)) AS bucket,
               count(*) AS messages
        FROM sms_data.message
        WHERE submitted_at >= since AND awaited_since IS NULL AND sms_data.is_reported(parts, part)
        GROUP BY 1, 2, 3, 4
        UNION ALL
        SELECT hour, provider, country, bucket, -messages FROM sms_data.report_lag_counted WHERE hour >= since
    ) AS side
    GROUP BY 1, 2, 3, 4 HAVING sum(messages) <> 0;
    GET DIAGNOSTICS wrong = ROW_COUNT;
    RETURN total + wrong;
END
$$;
