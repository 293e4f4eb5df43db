-- The counts of any time, quickly: where a step is of whole days, whole days come from the counts by the day, and the hours
-- before the first and after the last of them from those by the hour. The planner sees into these functions, and what a
-- caller filters by is filtered below.

CREATE FUNCTION sms.message_counts(
    since timestamptz DEFAULT now() - interval '1 day',
    until timestamptz DEFAULT 'infinity',
    by interval DEFAULT '1 hour'
)
    RETURNS TABLE (step timestamptz, provider text, country text, status text, reason text, final boolean,
                   messages bigint, taken bigint, silent bigint, reports bigint, segments bigint, fees bigint,
                   requests bigint)
    LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT date_bin(by, h.hour, timestamptz '2001-01-01 00:00+00'), h.provider, h.country, h.status, h.reason, h.final,
           h.messages, CASE WHEN h.accepted THEN h.messages ELSE 0 END, CASE WHEN h.reported THEN 0 ELSE h.messages END,
           h.reports, h.segments, h.fees, h.requests
    FROM sms.hourly AS h
    WHERE h.hour >= since
          AND h.hour < CASE WHEN extract(epoch FROM by) % 86400 <> 0 THEN until ELSE least(until,
              date_bin('1 day', since + interval '24 hours' - interval '1 microsecond', timestamptz '2001-01-01 00:00+00')) END
    UNION ALL
    SELECT date_bin(by, d.day, timestamptz '2001-01-01 00:00+00'), d.provider, d.country, d.status, d.reason, d.final,
           d.messages, d.taken, d.silent, d.reports, d.segments, d.fees, d.requests
    FROM sms.daily AS d
    WHERE extract(epoch FROM by) % 86400 = 0
          AND d.day >= date_bin('1 day', since + interval '24 hours' - interval '1 microsecond', timestamptz '2001-01-01 00:00+00')
          AND d.day < date_bin('1 day', until, timestamptz '2001-01-01 00:00+00')
    UNION ALL
    SELECT date_bin(by, h.hour, timestamptz '2001-01-01 00:00+00'), h.provider, h.country, h.status, h.reason, h.final,
           h.messages, CASE WHEN h.accepted THEN h.messages ELSE 0 END, CASE WHEN h.reported THEN 0 ELSE h.messages END,
           h.reports, h.segments, h.fees, h.requests
    FROM sms.hourly AS h
    WHERE extract(epoch FROM by) % 86400 = 0
          AND h.hour >= greatest(date_bin('1 day', until, timestamptz '2001-01-01 00:00+00'),
              date_bin('1 day', since + interval '24 hours' - interval '1 microsecond', timestamptz '2001-01-01 00:00+00'))
          AND h.hour < until
$$;

COMMENT ON FUNCTION sms.message_counts(timestamptz, timestamptz, interval) IS
    'Messages counted by hour (or a longer step) and state, as in sms.daily; from the counts by the day where the step is of whole days. The beginnings of steps are counted from Monday, 2001-01-01 (UTC).';

CREATE FUNCTION sms.code_counts(
    since timestamptz DEFAULT now() - interval '1 day',
    until timestamptz DEFAULT 'infinity',
    by interval DEFAULT '1 hour'
)
    RETURNS TABLE (step timestamptz, provider text, country text, status text, reason text, final boolean,
                   code text, messages bigint, reports bigint)
    LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT date_bin(by, h.hour, timestamptz '2001-01-01 00:00+00'), h.provider, h.country, h.status, h.reason, h.final, h.code,
           h.messages, h.reports
    FROM sms.hourly AS h
    WHERE h.hour >= since
          AND h.hour < CASE WHEN extract(epoch FROM by) % 86400 <> 0 THEN until ELSE least(until,
              date_bin('1 day', since + interval '24 hours' - interval '1 microsecond', timestamptz '2001-01-01 00:00+00')) END
    UNION ALL
    SELECT date_bin(by, d.day, timestamptz '2001-01-01 00:00+00'), d.provider, d.country, d.status, d.reason, d.final, d.code,
           d.messages, d.reports
    FROM sms.daily_codes AS d
    WHERE extract(epoch FROM by) % 86400 = 0
          AND d.day >= date_bin('1 day', since + interval '24 hours' - interval '1 microsecond', timestamptz '2001-01-01 00:00+00')
          AND d.day < date_bin('1 day', until, timestamptz '2001-01-01 00:00+00')
    UNION ALL
    SELECT date_bin(by, h.hour, timestamptz '2001-01-01 00:00+00'), h.provider, h.country, h.status, h.reason, h.final, h.code,
           h.messages, h.reports
    FROM sms.hourly AS h
    WHERE extract(epoch FROM by) % 86400 = 0
          AND h.hour >= greatest(date_bin('1 day', until, timestamptz '2001-01-01 00:00+00'),
              date_bin('1 day', since + interval '24 hours' - interval '1 microsecond', timestamptz '2001-01-01 00:00+00'))
          AND h.hour < until
$$;

COMMENT ON FUNCTION sms.code_counts(timestamptz, timestamptz, interval) IS
    'Messages counted by hour (or a longer step) and code, as in sms.daily_codes; from the counts by the day where the step is of whole days.';

CREATE FUNCTION sms.delivery_time_counts(
    since timestamptz DEFAULT now() - interval '1 day',
    until timestamptz DEFAULT 'infinity',
    by interval DEFAULT '1 hour'
)
    RETURNS TABLE (step timestamptz, provider text, country text, seconds double precision, messages bigint)
    LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT date_bin(by, h.hour, timestamptz '2001-01-01 00:00+00'), h.provider, h.country, h.seconds, h.messages
    FROM sms.delivery_times AS h
    WHERE h.hour >= since
          AND h.hour < CASE WHEN extract(epoch FROM by) % 86400 <> 0 THEN until ELSE least(until,
              date_bin('1 day', since + interval '24 hours' - interval '1 microsecond', timestamptz '2001-01-01 00:00+00')) END
    UNION ALL
    SELECT date_bin(by, d.day, timestamptz '2001-01-01 00:00+00'), d.provider, d.country, d.seconds, d.messages
    FROM sms.daily_delivery_times AS d
    WHERE extract(epoch FROM by) % 86400 = 0
          AND d.day >= date_bin('1 day', since + interval '24 hours' - interval '1 microsecond', timestamptz '2001-01-01 00:00+00')
          AND d.day < date_bin('1 day', until, timestamptz '2001-01-01 00:00+00')
    UNION ALL
    SELECT date_bin(by, h.hour, timestamptz '2001-01-01 00:00+00'), h.provider, h.country, h.seconds, h.messages
    FROM sms.delivery_times AS h
    WHERE extract(epoch FROM by) % 86400 = 0
          AND h.hour >= greatest(date_bin('1 day', until, timestamptz '2001-01-01 00:00+00'),
              date_bin('1 day', since + interval '24 hours' - interval '1 microsecond', timestamptz '2001-01-01 00:00+00'))
          AND h.hour < until
$$;

COMMENT ON FUNCTION sms.delivery_time_counts(timestamptz, timestamptz, interval) IS
    'How long deliveries took, as in sms.delivery_times, by hour of submission (or a longer step); from the counts by the day where the step is of whole days.';

-- As before, from the counts by the day where they will do.
CREATE OR REPLACE FUNCTION sms.delivery_percentiles(
    since timestamptz DEFAULT now() - interval '1 day',
    until timestamptz DEFAULT 'infinity',
    by interval DEFAULT '1 hour'
)
    RETURNS TABLE (hour timestamptz, provider text, country text, messages bigint, median_s double precision,
                   p90_s double precision, p99_s double precision)
    LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    WITH step AS (
        SELECT t.step AS hour, t.provider, t.country, t.seconds, sum(t.messages) AS messages
        FROM sms.delivery_time_counts(since, until, by) AS t
        GROUP BY 1, 2, 3, 4 HAVING sum(t.messages) > 0
    ), ranked AS (
        SELECT step.*, sum(step.messages) OVER (PARTITION BY step.hour, step.provider, step.country
                                                ORDER BY step.seconds) AS until_here,
               sum(step.messages) OVER (PARTITION BY step.hour, step.provider, step.country) AS total
        FROM step
    )
    SELECT ranked.hour, ranked.provider, ranked.country, max(ranked.total)::bigint,
           min(ranked.seconds) FILTER (WHERE until_here >= 0.5 * total),
           min(ranked.seconds) FILTER (WHERE until_here >= 0.9 * total),
           min(ranked.seconds) FILTER (WHERE until_here >= 0.99 * total)
    FROM ranked
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
$$;
