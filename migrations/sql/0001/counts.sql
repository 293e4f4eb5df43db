-- Counts by the hour, exact at any moment: the statement that changes messages adds signed rows to a delta table, by
-- triggers; maintenance folds these into the counts, and the views add up both. Counts outlive the messages: retention that
-- deletes messages changes none.

-- `hour` is that of the first arrival and `submitted_hour` that of the submission, or else of the first arrival. Unknown
-- texts are empty. `accepted`: the submission's answer took the message. `reported`: there is at least one report.
-- `reports` are those in the message's state. `fees` and `requests` are of submissions, in rows of their own: by the hour
-- at which the submission arrived, and by what its answer said.
CREATE TABLE sms_data.message_count (
    hour           timestamptz NOT NULL,
    submitted_hour timestamptz NOT NULL,
    provider       text        COLLATE "C" NOT NULL,
    country        text        COLLATE "C" NOT NULL,
    status         text        COLLATE "C" NOT NULL,
    reason         text        COLLATE "C" NOT NULL,
    code           text        COLLATE "C" NOT NULL,
    accepted       boolean     NOT NULL,
    reported       boolean     NOT NULL,
    messages       bigint      NOT NULL,
    reports        bigint      NOT NULL,
    segments       bigint      NOT NULL,
    fees           bigint      NOT NULL DEFAULT 0,
    requests       bigint      NOT NULL DEFAULT 0,
    PRIMARY KEY (hour, submitted_hour, provider, country, status, reason, code, accepted, reported)
);

CREATE INDEX message_count_submitted_hour ON sms_data.message_count (submitted_hour);
CREATE INDEX message_count_requests ON sms_data.message_count (submitted_hour) WHERE requests <> 0;

-- The key of the counts must fit into a page of their index, or one row would keep all others from being folded. The
-- adapters allow a code of 256 characters; a message with more is refused when it comes.
CREATE TABLE sms_data.message_delta (
    LIKE sms_data.message_count INCLUDING DEFAULTS,
    CONSTRAINT is_countable CHECK (octet_length(provider) + octet_length(country) + octet_length(status)
                                   + octet_length(reason) + octet_length(code) <= 2000)
);

-- Histograms by the hour of submission. Delivery: from submission to delivery, of delivered messages.
CREATE TABLE sms_data.delivery_time_count (
    hour     timestamptz NOT NULL,
    provider text        COLLATE "C" NOT NULL,
    country  text        COLLATE "C" NOT NULL,
    bucket   smallint    NOT NULL,
    messages bigint      NOT NULL,
    PRIMARY KEY (hour, provider, country, bucket)
);

CREATE TABLE sms_data.delivery_time_delta (LIKE sms_data.delivery_time_count);

-- Lag: from submission to the arrival of the last report, of reported messages that are no longer awaited.
CREATE TABLE sms_data.report_lag_count (LIKE sms_data.delivery_time_count,
                                        PRIMARY KEY (hour, provider, country, bucket));

CREATE TABLE sms_data.report_lag_delta (LIKE sms_data.report_lag_count);

-- What arrived before this moment may be gone from sms_data.message, and is in the counts alone.
CREATE TABLE sms_data.counts_only (
    single_row boolean     PRIMARY KEY DEFAULT true CHECK (single_row),
    before     timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO sms_data.counts_only DEFAULT VALUES;

-- Buckets grow by a factor of 1.1, so that their middle is within 5 % of any time in them. 0: at most a second.
CREATE FUNCTION sms_data.time_bucket(seconds double precision) RETURNS smallint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN seconds > 1 THEN ceil(ln(seconds) / ln(1.1::double precision))::smallint
                WHEN seconds <= 1 THEN 0::smallint END
$$;

-- The geometric middle of a bucket.
CREATE FUNCTION sms_data.bucket_seconds(bucket smallint) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT power(1.1::double precision, bucket - 0.5::double precision) $$;

CREATE VIEW sms_data.message_counted AS
    SELECT * FROM sms_data.message_count UNION ALL SELECT * FROM sms_data.message_delta;
CREATE VIEW sms_data.delivery_time_counted AS
    SELECT * FROM sms_data.delivery_time_count UNION ALL SELECT * FROM sms_data.delivery_time_delta;
CREATE VIEW sms_data.report_lag_counted AS
    SELECT * FROM sms_data.report_lag_count UNION ALL SELECT * FROM sms_data.report_lag_delta;
