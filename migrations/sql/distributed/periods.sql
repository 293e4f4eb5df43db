-- The functions of the contract that count a period (0002/functions.sql), for shards. Citus plans no function in SQL that has
-- a parameter to wait for, so the planner does not see into these: they add up what the caller would, or each of its rows
-- would come from every shard. One text makes the three.

DO $make$
DECLARE
    made record;
BEGIN
    FOR made IN
        SELECT * FROM (VALUES
            ('message_counts', 'hourly', 'daily',
             'provider text, country text, status text, reason text, final boolean, messages bigint, taken bigint, '
             'silent bigint, reports bigint, segments bigint, fees bigint, requests bigint',
             'provider, country, status, reason, final',
             'sum(messages)::bigint, coalesce(sum(messages) FILTER (WHERE accepted), 0)::bigint, '
             'coalesce(sum(messages) FILTER (WHERE NOT reported), 0)::bigint, sum(reports)::bigint, '
             'sum(segments)::bigint, sum(fees)::bigint, sum(requests)::bigint',
             'sum(messages)::bigint, sum(taken)::bigint, sum(silent)::bigint, sum(reports)::bigint, '
             'sum(segments)::bigint, sum(fees)::bigint, sum(requests)::bigint'),
            ('code_counts', 'hourly', 'daily_codes',
             'provider text, country text, status text, reason text, final boolean, code text, messages bigint, reports bigint',
             'provider, country, status, reason, final, code',
             'sum(messages)::bigint, sum(reports)::bigint',
             'sum(messages)::bigint, sum(reports)::bigint'),
            ('delivery_time_counts', 'delivery_times', 'daily_delivery_times',
             'provider text, country text, seconds double precision, messages bigint',
             'provider, country, seconds',
             'sum(messages)::bigint',
             'sum(messages)::bigint')
        ) AS kind (name, hours, days, result, keys, sums_of_hours, sums_of_days)
    LOOP
        EXECUTE format($text$
            CREATE OR REPLACE FUNCTION sms.%1$s(
                since timestamptz DEFAULT now() - interval '1 day',
                until timestamptz DEFAULT 'infinity',
                by interval DEFAULT '1 hour'
            )
                RETURNS TABLE (step timestamptz, %4$s)
                LANGUAGE plpgsql STABLE
                SET plan_cache_mode = force_custom_plan
            AS $$
            #variable_conflict use_column
            DECLARE
                by_day  CONSTANT boolean := extract(epoch FROM by) %% 86400 = 0;
                origin  CONSTANT timestamptz := '2001-01-01 00:00+00';
                -- The whole days between.
                day_one CONSTANT timestamptz := date_bin('1 day', since + interval '24 hours' - interval '1 microsecond', origin);
                day_end CONSTANT timestamptz := date_bin('1 day', until, origin);
            BEGIN
                RETURN QUERY
                    SELECT date_bin(by, hour, origin), %5$s, %6$s FROM sms.%2$s
                    WHERE hour >= since AND hour < CASE WHEN by_day THEN least(until, day_one) ELSE until END
                    GROUP BY 1, %5$s;
                IF NOT by_day THEN
                    RETURN;
                END IF;
                RETURN QUERY
                    SELECT date_bin(by, day, origin), %5$s, %7$s FROM sms.%3$s
                    WHERE day >= day_one AND day < day_end
                    GROUP BY 1, %5$s;
                RETURN QUERY
                    SELECT date_bin(by, hour, origin), %5$s, %6$s FROM sms.%2$s
                    WHERE hour >= greatest(day_end, day_one) AND hour < until
                    GROUP BY 1, %5$s;
            END
            $$
            $text$, made.name, made.hours, made.days, made.result, made.keys, made.sums_of_hours, made.sums_of_days);
    END LOOP;
END
$make$;
