-- The counts by the hour (0001/counts.sql), added up by the day (UTC): a year has nine million rows by the hour at a rate of
-- 20 million messages a month, one million by the day, and a quarter of that without the codes. Triggers on the counts by the
-- hour keep them the same: folding, thinning, retention and a recount know nothing of them.

-- `taken`: messages of which the submission's answer says that the platform took them. `silent`: those without a report.
CREATE TABLE sms_data.message_day_count (
    day      timestamptz NOT NULL,
    provider text        COLLATE "C" NOT NULL,
    country  text        COLLATE "C" NOT NULL,
    status   text        COLLATE "C" NOT NULL,
    reason   text        COLLATE "C" NOT NULL,
    messages bigint      NOT NULL,
    taken    bigint      NOT NULL,
    silent   bigint      NOT NULL,
    reports  bigint      NOT NULL,
    segments bigint      NOT NULL,
    fees     bigint      NOT NULL,
    requests bigint      NOT NULL,
    PRIMARY KEY (day, provider, country, status, reason)
) WITH (fillfactor = 80);

CREATE TABLE sms_data.code_day_count (
    day      timestamptz NOT NULL,
    provider text        COLLATE "C" NOT NULL,
    country  text        COLLATE "C" NOT NULL,
    status   text        COLLATE "C" NOT NULL,
    reason   text        COLLATE "C" NOT NULL,
    code     text        COLLATE "C" NOT NULL,
    messages bigint      NOT NULL,
    reports  bigint      NOT NULL,
    PRIMARY KEY (day, provider, country, status, reason, code)
) WITH (fillfactor = 80);

CREATE TABLE sms_data.delivery_time_day_count (
    day      timestamptz NOT NULL,
    provider text        COLLATE "C" NOT NULL,
    country  text        COLLATE "C" NOT NULL,
    bucket   smallint    NOT NULL,
    messages bigint      NOT NULL,
    PRIMARY KEY (day, provider, country, bucket)
) WITH (fillfactor = 80);

-- Whatever the session's time zone is.
CREATE FUNCTION sms_data.utc_day(moment timestamptz) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT date_bin('1 day'::interval, moment, '2001-01-01 00:00+00'::timestamptz) $$;
