-- What changes the counts by the hour changes those by the day in the same statement.

-- The rows that a trigger's statement has added, and with a minus those that it has taken away.
CREATE FUNCTION sms_data.changed_rows(operation text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE operation WHEN 'INSERT' THEN 'SELECT 1 AS one, * FROM after'
                          WHEN 'DELETE' THEN 'SELECT -1 AS one, * FROM before'
                          ELSE 'SELECT 1 AS one, * FROM after UNION ALL SELECT -1, * FROM before' END
$$;

CREATE FUNCTION sms_data.count_message_days() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format($follow$
        INSERT INTO sms_data.message_day_count AS c
        SELECT * FROM (
            SELECT sms_data.utc_day(hour), provider, country, status, reason, sum(one * messages) AS messages,
                   coalesce(sum(one * messages) FILTER (WHERE accepted), 0) AS taken,
                   coalesce(sum(one * messages) FILTER (WHERE NOT reported), 0) AS silent,
                   sum(one * reports) AS reports, sum(one * segments) AS segments, sum(one * fees) AS fees,
                   sum(one * requests) AS requests
            FROM (%s) AS changed
            GROUP BY 1, 2, 3, 4, 5) AS sums
        WHERE (messages, taken, silent, reports, segments, fees, requests) <> (0, 0, 0, 0, 0, 0, 0)
        ORDER BY 1, 2, 3, 4, 5
        ON CONFLICT (day, provider, country, status, reason) DO UPDATE
            SET messages = c.messages + excluded.messages, taken = c.taken + excluded.taken,
                silent = c.silent + excluded.silent, reports = c.reports + excluded.reports,
                segments = c.segments + excluded.segments, fees = c.fees + excluded.fees,
                requests = c.requests + excluded.requests
    $follow$, sms_data.changed_rows(TG_OP));
    EXECUTE format($follow$
        INSERT INTO sms_data.code_day_count AS c
        SELECT sms_data.utc_day(hour), provider, country, status, reason, code, sum(one * messages), sum(one * reports)
        FROM (%s) AS changed
        GROUP BY 1, 2, 3, 4, 5, 6 HAVING (sum(one * messages), sum(one * reports)) <> (0, 0)
        ORDER BY 1, 2, 3, 4, 5, 6
        ON CONFLICT (day, provider, country, status, reason, code) DO UPDATE
            SET messages = c.messages + excluded.messages, reports = c.reports + excluded.reports
    $follow$, sms_data.changed_rows(TG_OP));
    IF TG_OP = 'DELETE' THEN
        DELETE FROM sms_data.message_day_count
        WHERE day = ANY (ARRAY(SELECT DISTINCT sms_data.utc_day(hour) FROM before))
              AND (messages, taken, silent, reports, segments, fees, requests) = (0, 0, 0, 0, 0, 0, 0);
        DELETE FROM sms_data.code_day_count
        WHERE day = ANY (ARRAY(SELECT DISTINCT sms_data.utc_day(hour) FROM before)) AND (messages, reports) = (0, 0);
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION sms_data.count_delivery_time_days() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format($follow$
        INSERT INTO sms_data.delivery_time_day_count AS c
        SELECT sms_data.utc_day(hour), provider, country, bucket, sum(one * messages)
        FROM (%s) AS changed
        GROUP BY 1, 2, 3, 4 HAVING sum(one * messages) <> 0
        ORDER BY 1, 2, 3, 4
        ON CONFLICT (day, provider, country, bucket) DO UPDATE SET messages = c.messages + excluded.messages
    $follow$, sms_data.changed_rows(TG_OP));
    IF TG_OP = 'DELETE' THEN
        DELETE FROM sms_data.delivery_time_day_count
        WHERE day = ANY (ARRAY(SELECT DISTINCT sms_data.utc_day(hour) FROM before)) AND messages = 0;
    END IF;
    RETURN NULL;
END
$$;

-- A trigger is made once the fold that is running has ended, and holds off the next: nothing is missed, and nothing is
-- counted twice below. Writers of reports go on; they touch the deltas alone.
CREATE TRIGGER count_days_inserted AFTER INSERT ON sms_data.message_count
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION sms_data.count_message_days();
CREATE TRIGGER count_days_updated AFTER UPDATE ON sms_data.message_count
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION sms_data.count_message_days();
CREATE TRIGGER count_days_deleted AFTER DELETE ON sms_data.message_count
    REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION sms_data.count_message_days();
CREATE TRIGGER count_days_inserted AFTER INSERT ON sms_data.delivery_time_count
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION sms_data.count_delivery_time_days();
CREATE TRIGGER count_days_updated AFTER UPDATE ON sms_data.delivery_time_count
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION sms_data.count_delivery_time_days();
CREATE TRIGGER count_days_deleted AFTER DELETE ON sms_data.delivery_time_count
    REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION sms_data.count_delivery_time_days();

INSERT INTO sms_data.message_day_count
SELECT sms_data.utc_day(hour), provider, country, status, reason, sum(messages),
       coalesce(sum(messages) FILTER (WHERE accepted), 0), coalesce(sum(messages) FILTER (WHERE NOT reported), 0),
       sum(reports), sum(segments), sum(fees), sum(requests)
FROM sms_data.message_count
GROUP BY 1, 2, 3, 4, 5
ORDER BY 1, 2, 3, 4, 5;

INSERT INTO sms_data.code_day_count
SELECT sms_data.utc_day(hour), provider, country, status, reason, code, sum(messages), sum(reports)
FROM sms_data.message_count
GROUP BY 1, 2, 3, 4, 5, 6 HAVING (sum(messages), sum(reports)) <> (0, 0)
ORDER BY 1, 2, 3, 4, 5, 6;

INSERT INTO sms_data.delivery_time_day_count
SELECT sms_data.utc_day(hour), provider, country, bucket, sum(messages)
FROM sms_data.delivery_time_count
GROUP BY 1, 2, 3, 4 HAVING sum(messages) <> 0
ORDER BY 1, 2, 3, 4;
