-- The functions of the contract that count a period (0002/functions.sql), for shards. Citus plans no function in SQL that has
-- a parameter to wait for, so the planner does not see into these: they add up what the caller would, or each of its rows
-- would come from every shard.

CREATE OR REPLACE FUNCTION sms.message_counts(
    since timestamptz DEFAULT now() - interval '1 day',
    until timestamptz DEFAULT 'infinity',
    by interval DEFAULT '1 hour'
)
    RETURNS TABLE (step timestamptz, provider text, country text, status text, reason text, final boolean,
                   messages bigint, taken bigint, silent bigint, reports bigint, segments bigint, fees bigint,
                   requests bigint)
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    by_day  CONSTANT boolean := extract(epoch FROM by) % 86400 = 0;
    origin  CONSTANT timestamptz := '2001-01-01 00:00+00';
    -- The whole days between.
    day_one CONSTANT timestamptz := date_bin('1 day', since + interval '24 hours' - interval '1 microsecond', origin);
    day_end CONSTANT timestamptz := date_bin('1 day', until, origin);
BEGIN
    RETURN QUERY
        SELECT date_bin(by, h.hour, origin), h.provider, h.country, h.status, h.reason, h.final, sum(h.messages)::bigint,
               coalesce(sum(h.messages) FILTER (WHERE h.accepted), 0)::bigint,
               coalesce(sum(h.messages) FILTER (WHERE NOT h.reported), 0)::bigint, sum(h.reports)::bigint,
               sum(h.segments)::bigint, sum(h.fees)::bigint, sum(h.requests)::bigint
        FROM sms.hourly AS h
        WHERE h.hour >= since AND h.hour < CASE WHEN by_day THEN least(until, day_one) ELSE until END
        GROUP BY 1, 2, 3, 4, 5, 6;
    IF NOT by_day THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT date_bin(by, h.day, origin), h.provider, h.country, h.status, h.reason, h.final, sum(h.messages)::bigint,
               sum(h.taken)::bigint, sum(h.silent)::bigint, sum(h.reports)::bigint,
               sum(h.segments)::bigint, sum(h.fees)::bigint, sum(h.requests)::bigint
        FROM sms.daily AS h
        WHERE h.day >= day_one AND h.day < day_end
        GROUP BY 1, 2, 3, 4, 5, 6;
    RETURN QUERY
        SELECT date_bin(by, h.hour, origin), h.provider, h.country, h.status, h.reason, h.final, sum(h.messages)::bigint,
               coalesce(sum(h.messages) FILTER (WHERE h.accepted), 0)::bigint,
               coalesce(sum(h.messages) FILTER (WHERE NOT h.reported), 0)::bigint, sum(h.reports)::bigint,
               sum(h.segments)::bigint, sum(h.fees)::bigint, sum(h.requests)::bigint
        FROM sms.hourly AS h
        WHERE h.hour >= greatest(day_end, day_one) AND h.hour < until
        GROUP BY 1, 2, 3, 4, 5, 6;
END
$$;

CREATE OR REPLACE FUNCTION sms.code_counts(
    since timestamptz DEFAULT now() - interval '1 day',
    until timestamptz DEFAULT 'infinity',
    by interval DEFAULT '1 hour'
)
    RETURNS TABLE (step timestamptz, provider text, country text, status text, reason text, final boolean,
                   code text, messages bigint, reports bigint)
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    by_day  CONSTANT boolean := extract(epoch FROM by) % 86400 = 0;
    origin  CONSTANT timestamptz := '2001-01-01 00:00+00';
    -- The whole days between.
    day_one CONSTANT timestamptz := date_bin('1 day', since + interval '24 hours' - interval '1 microsecond', origin);
    day_end CONSTANT timestamptz := date_bin('1 day', until, origin);
BEGIN
    RETURN QUERY
        SELECT date_bin(by, h.hour, origin), h.provider, h.country, h.status, h.reason, h.final, h.code,
               sum(h.messages)::bigint, sum(h.reports)::bigint
        FROM sms.hourly AS h
        WHERE h.hour >= since AND h.hour < CASE WHEN by_day THEN least(until, day_one) ELSE until END
        GROUP BY 1, 2, 3, 4, 5, 6, 7;
    IF NOT by_day THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT date_bin(by, h.day, origin), h.provider, h.country, h.status, h.reason, h.final, h.code,
               sum(h.messages)::bigint, sum(h.reports)::bigint
        FROM sms.daily_codes AS h
        WHERE h.day >= day_one AND h.day < day_end
        GROUP BY 1, 2, 3, 4, 5, 6, 7;
    RETURN QUERY
        SELECT date_bin(by, h.hour, origin), h.provider, h.country, h.status, h.reason, h.final, h.code,
               sum(h.messages)::bigint, sum(h.reports)::bigint
        FROM sms.hourly AS h
        WHERE h.hour >= greatest(day_end, day_one) AND h.hour < until
        GROUP BY 1, 2, 3, 4, 5, 6, 7;
END
$$;

CREATE OR REPLACE FUNCTION sms.delivery_time_counts(
    since timestamptz DEFAULT now() - interval '1 day',
    until timestamptz DEFAULT 'infinity',
    by interval DEFAULT '1 hour'
)
    RETURNS TABLE (step timestamptz, provider text, country text, seconds double precision, messages bigint)
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    by_day  CONSTANT boolean := extract(epoch FROM by) % 86400 = 0;
    origin  CONSTANT timestamptz := '2001-01-01 00:00+00';
    -- The whole days between.
    day_one CONSTANT timestamptz := date_bin('1 day', since + interval '24 hours' - interval '1 microsecond', origin);
    day_end CONSTANT timestamptz := date_bin('1 day', until, origin);
BEGIN
    RETURN QUERY
        SELECT date_bin(by, h.hour, origin), h.provider, h.country, h.seconds, sum(h.messages)::bigint
        FROM sms.delivery_times AS h
        WHERE h.hour >= since AND h.hour < CASE WHEN by_day THEN least(until, day_one) ELSE until END
        GROUP BY 1, 2, 3, 4;
    IF NOT by_day THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT date_bin(by, h.day, origin), h.provider, h.country, h.seconds, sum(h.messages)::bigint
        FROM sms.daily_delivery_times AS h
        WHERE h.day >= day_one AND h.day < day_end
        GROUP BY 1, 2, 3, 4;
    RETURN QUERY
        SELECT date_bin(by, h.hour, origin), h.provider, h.country, h.seconds, sum(h.messages)::bigint
        FROM sms.delivery_times AS h
        WHERE h.hour >= greatest(day_end, day_one) AND h.hour < until
        GROUP BY 1, 2, 3, 4;
END
$$;
