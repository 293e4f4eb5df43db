-- Functions of the SQL contract, for readers: what a plain query would not find quickly.

-- By the reports and submissions that name the recipient, from the index of each day since then; then each message by its
-- key, one by one whatever the statistics say (LATERAL with OFFSET 0).
CREATE FUNCTION sms.messages_to(recipient text, since timestamptz DEFAULT now() - interval '30 days')
    RETURNS SETOF sms.message
    LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT m.*
    FROM (
        SELECT r.message_id, r.provider FROM sms.delivery_report AS r
        WHERE r.recipient = messages_to.recipient AND r.received_at >= messages_to.since
        UNION
        SELECT s.message_id, s.provider FROM sms.submission AS s
        WHERE s.recipient = messages_to.recipient AND s.received_at >= messages_to.since
    ) AS named
    CROSS JOIN LATERAL (
        SELECT * FROM sms.message AS known
        WHERE known.message_id = named.message_id AND known.provider = named.provider
              AND known.recipient = messages_to.recipient
        OFFSET 0) AS m
    ORDER BY m.first_received_at DESC
$$;

COMMENT ON FUNCTION sms.messages_to(text, timestamptz) IS
    'The messages to a number, in E.164 with +, of which a report or the submission arrived since then; the latest first.';

-- The times within which half, 90 % and 99 % of the deliveries of each hour were made.
CREATE FUNCTION sms.delivery_percentiles(
    since timestamptz DEFAULT now() - interval '1 day',
    until timestamptz DEFAULT 'infinity',
    by interval DEFAULT '1 hour'
)
    RETURNS TABLE (hour timestamptz, provider text, country text, messages bigint, median_s double precision,
                   p90_s double precision, p99_s double precision)
    LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    WITH step AS (
        SELECT date_bin(by, t.hour, timestamptz '2001-01-01 00:00+00') AS hour, t.provider, t.country, t.seconds,
               sum(t.messages) AS messages
        FROM sms.delivery_times AS t
        WHERE t.hour >= since AND t.hour < until
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

COMMENT ON FUNCTION sms.delivery_percentiles(timestamptz, timestamptz, interval) IS
    'Seconds within which half, 90 % and 99 % of the deliveries were made, by hour of submission (or a longer step), platform and country; each within 5 %.';
