-- What changes sms_data.message is counted in the same transaction, whichever statement it is: each adds a few signed rows
-- to the delta tables. The expressions are in one place for the triggers and for a recount.

-- Of a message (tables.sql): whether its submission's answer took it, whether there is a report, and how many.
CREATE FUNCTION sms_data.is_accepted(parts jsonb, part smallint, status text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN parts IS NULL THEN part = -1 AND status = 'enroute'
                ELSE coalesce(parts #>> '{-1,3}' = 'enroute', false) END
$$;

CREATE FUNCTION sms_data.is_reported(parts jsonb, part smallint) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT CASE WHEN parts IS NULL THEN part <> -1 ELSE parts - '-1' <> '{}' END $$;

CREATE FUNCTION sms_data.report_count(parts jsonb, part smallint, seen uuid[]) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT coalesce(cardinality(seen), 1) - CASE WHEN parts IS NULL THEN part = -1 ELSE parts ? '-1' END::integer
$$;

-- Whatever the session's time zone is.
CREATE FUNCTION sms_data.utc_hour(moment timestamptz) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT date_bin('1 hour'::interval, moment, '2001-01-01 00:00+00'::timestamptz) $$;

CREATE FUNCTION sms_data.count_messages() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    changed   bigint;
    submitted bigint;
BEGIN
    SELECT count(*), count(submitted_at) INTO changed, submitted FROM after;
    IF changed = 0 THEN  -- as after every upsert that finds its rows there
        RETURN NULL;
    END IF;
    INSERT INTO sms_data.message_delta
    SELECT sms_data.utc_hour(first_received_at), sms_data.utc_hour(coalesce(submitted_at, first_received_at)),
           provider, coalesce(country, ''), status, coalesce(reason, ''), coalesce(code, ''),
           sms_data.is_accepted(parts, part, status), sms_data.is_reported(parts, part),
           count(*), sum(sms_data.report_count(parts, part, seen)), sum(segments)
    FROM after GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9;
    IF submitted > 0 THEN
        INSERT INTO sms_data.delivery_time_delta
        SELECT sms_data.utc_hour(submitted_at), provider, coalesce(country, ''),
               sms_data.time_bucket(extract(epoch FROM happened_at - submitted_at)),
               count(*)
        FROM after
        WHERE status = 'delivered' AND happened_at IS NOT NULL AND submitted_at IS NOT NULL
        GROUP BY 1, 2, 3, 4;
        INSERT INTO sms_data.report_lag_delta
        SELECT sms_data.utc_hour(submitted_at), provider, coalesce(country, ''),
               sms_data.time_bucket(extract(epoch FROM coalesce(last_received_at, first_received_at) - submitted_at)),
               count(*)
        FROM after
        WHERE submitted_at IS NOT NULL AND awaited_since IS NULL AND sms_data.is_reported(parts, part)
        GROUP BY 1, 2, 3, 4;
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION sms_data.count_changes() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    changed   bigint;
    submitted bigint;
BEGIN
    SELECT count(*), count(submitted_at) INTO changed, submitted FROM after;
    IF changed = 0 THEN  -- as after every upsert that finds its rows there
        RETURN NULL;
    END IF;
    INSERT INTO sms_data.message_delta
    SELECT sms_data.utc_hour(first_received_at), sms_data.utc_hour(coalesce(submitted_at, first_received_at)),
           provider, coalesce(country, ''), status, coalesce(reason, ''), coalesce(code, ''),
           sms_data.is_accepted(parts, part, status), sms_data.is_reported(parts, part),
           sum(one), sum(one * sms_data.report_count(parts, part, seen)), sum(one * segments)
    FROM (SELECT 1 AS one, * FROM after UNION ALL SELECT -1, * FROM before) AS m
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    HAVING sum(one) <> 0 OR sum(one * sms_data.report_count(parts, part, seen)) <> 0 OR sum(one * segments) <> 0;
    IF submitted > 0 THEN
        INSERT INTO sms_data.delivery_time_delta
        SELECT sms_data.utc_hour(submitted_at), provider, coalesce(country, ''),
               sms_data.time_bucket(extract(epoch FROM happened_at - submitted_at)),
               sum(one)
        FROM (SELECT 1 AS one, * FROM after UNION ALL SELECT -1, * FROM before) AS m
        WHERE status = 'delivered' AND happened_at IS NOT NULL AND submitted_at IS NOT NULL
        GROUP BY 1, 2, 3, 4 HAVING sum(one) <> 0;
        INSERT INTO sms_data.report_lag_delta
        SELECT sms_data.utc_hour(submitted_at), provider, coalesce(country, ''),
               sms_data.time_bucket(extract(epoch FROM coalesce(last_received_at, first_received_at) - submitted_at)),
               sum(one)
        FROM (SELECT 1 AS one, * FROM after UNION ALL SELECT -1, * FROM before) AS m
        WHERE submitted_at IS NOT NULL AND awaited_since IS NULL AND sms_data.is_reported(parts, part)
        GROUP BY 1, 2, 3, 4 HAVING sum(one) <> 0;
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION sms_data.count_submissions() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO sms_data.message_delta
    SELECT sms_data.utc_hour(received_at), sms_data.utc_hour(submitted_at), provider, coalesce(country, ''), status,
           coalesce(reason, ''), code, status = 'enroute', false, 0, 0, 0, coalesce(sum(fee), 0), count(*)
    FROM after GROUP BY 1, 2, 3, 4, 5, 6, 7;
    RETURN NULL;
END
$$;

CREATE TRIGGER count_inserted AFTER INSERT ON sms_data.message
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION sms_data.count_messages();
CREATE TRIGGER count_updated AFTER UPDATE ON sms_data.message
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION sms_data.count_changes();
CREATE TRIGGER count_inserted AFTER INSERT ON sms_data.submission
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION sms_data.count_submissions();
