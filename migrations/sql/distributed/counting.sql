-- What is counted is counted by the functions that write, under an anchor of the call's own (anchors.sql).

-- The rule of sms_data.message_delta (0001/counts.sql), before a row is on its way to a shard: an error from there does not
-- name it.
CREATE OR REPLACE FUNCTION sms_data.check_countable(texts text[]) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM unnest(texts) AS text WHERE octet_length(text) > 2000) THEN
        RAISE EXCEPTION 'the texts of a message that are counted are longer than 2000 bytes'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'is_countable';
    END IF;
END
$$;

-- Adds the difference that these messages make.
CREATE OR REPLACE FUNCTION sms_data.count_written(written sms_data.written_message[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    anchor CONSTANT text := sms_data.some_anchor();
    delivered integer;
    lagged    integer;
BEGIN
    SELECT count((w.now).delivery_bucket) + count((w.was).delivery_bucket),
           count((w.now).lag_bucket) + count((w.was).lag_bucket)
    INTO delivered, lagged
    FROM unnest(written) AS w;
    PERFORM sms_data.check_countable(
        array_agg(w.provider || (w.now).country || (w.now).status || (w.now).reason || (w.now).code))
    FROM unnest(written) AS w;
    INSERT INTO sms_data.message_delta (
        hour, submitted_hour, provider, country, status, reason, code, accepted, reported, messages, reports, segments,
        anchor)
    SELECT (c).hour, (c).submitted_hour, provider, (c).country, (c).status, (c).reason, (c).code, (c).accepted,
           (c).reported, sum(one), sum(one * (c).reports), sum(one * (c).segments), anchor
    FROM (SELECT 1 AS one, w.provider, w.now AS c FROM unnest(written) AS w
          UNION ALL
          SELECT -1, w.provider, w.was FROM unnest(written) AS w WHERE (w.was).hour IS NOT NULL) AS side
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    HAVING sum(one) <> 0 OR sum(one * (c).reports) <> 0 OR sum(one * (c).segments) <> 0;
    IF delivered > 0 THEN
        INSERT INTO sms_data.delivery_time_delta (hour, provider, country, bucket, messages, anchor)
        SELECT (c).submitted_hour, provider, (c).country, (c).delivery_bucket, sum(one), anchor
        FROM (SELECT 1 AS one, w.provider, w.now AS c FROM unnest(written) AS w
              UNION ALL
              SELECT -1, w.provider, w.was FROM unnest(written) AS w) AS side
        WHERE (c).delivery_bucket IS NOT NULL
        GROUP BY 1, 2, 3, 4 HAVING sum(one) <> 0;
    END IF;
    IF lagged > 0 THEN
        INSERT INTO sms_data.report_lag_delta (hour, provider, country, bucket, messages, anchor)
        SELECT (c).submitted_hour, provider, (c).country, (c).lag_bucket, sum(one), anchor
        FROM (SELECT 1 AS one, w.provider, w.now AS c FROM unnest(written) AS w
              UNION ALL
              SELECT -1, w.provider, w.was FROM unnest(written) AS w) AS side
        WHERE (c).lag_bucket IS NOT NULL
        GROUP BY 1, 2, 3, 4 HAVING sum(one) <> 0;
    END IF;
END
$$;
