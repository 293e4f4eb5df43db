-- Folded counts by the day, and what is not folded yet: as exact as the counts by the hour.

CREATE VIEW sms.daily AS
    SELECT day,
           provider,
           nullif(country, '') AS country,
           status,
           nullif(reason, '') AS reason,
           status IN ('expired', 'deleted', 'undeliverable', 'rejected', 'delivered') AS final,
           messages,
           taken,
           silent,
           reports,
           segments,
           fees,
           requests
    FROM (
        SELECT day, provider, country, status, reason, messages, taken, silent, reports, segments, fees, requests
        FROM sms_data.message_day_count
        UNION ALL
        SELECT date_bin('1 day'::interval, hour, '2001-01-01 00:00+00'::timestamptz), provider, country, status, reason,
               messages, CASE WHEN accepted THEN messages ELSE 0 END, CASE WHEN reported THEN 0 ELSE messages END,
               reports, segments, fees, requests
        FROM sms_data.message_delta
    ) AS counted;

COMMENT ON VIEW sms.daily IS
    'Messages counted by day and state: sms.hourly, without its codes, added up by the day, for months and years. Exact at every moment, and to be added up with sum() as well.';
COMMENT ON COLUMN sms.daily.day IS
    'Day (UTC) in which the first report about the messages, or their submission, arrived here.';
COMMENT ON COLUMN sms.daily.provider IS
    'Short name of the platform.';
COMMENT ON COLUMN sms.daily.country IS
    'Country of the recipients'' numbers, ISO 3166 alpha-2; null where unknown.';
COMMENT ON COLUMN sms.daily.status IS
    'SMPP message state of the messages, as in sms.message.';
COMMENT ON COLUMN sms.daily.reason IS
    'Why the messages did not arrive; null for delivered messages and for those under way.';
COMMENT ON COLUMN sms.daily.final IS
    'Whether no other state follows this status.';
COMMENT ON COLUMN sms.daily.messages IS
    'Number of messages.';
COMMENT ON COLUMN sms.daily.taken IS
    'Number of these messages whose submission was handed over, with an answer that took them.';
COMMENT ON COLUMN sms.daily.silent IS
    'Number of these messages about which there is no report.';
COMMENT ON COLUMN sms.daily.reports IS
    'Number of different reports about these messages; a second, different answer to a submission counts as one.';
COMMENT ON COLUMN sms.daily.segments IS
    'Number of segments of these messages, as far as any report has told.';
COMMENT ON COLUMN sms.daily.fees IS
    'Segments that are charged for, by the answers to submissions: counted by the answer''s day and status.';
COMMENT ON COLUMN sms.daily.requests IS
    'Number of submissions, counted as fees are.';

CREATE VIEW sms.daily_codes AS
    SELECT day,
           provider,
           nullif(country, '') AS country,
           status,
           nullif(reason, '') AS reason,
           status IN ('expired', 'deleted', 'undeliverable', 'rejected', 'delivered') AS final,
           nullif(code, '') AS code,
           messages,
           reports
    FROM (
        SELECT day, provider, country, status, reason, code, messages, reports FROM sms_data.code_day_count
        UNION ALL
        SELECT date_bin('1 day'::interval, hour, '2001-01-01 00:00+00'::timestamptz), provider, country, status, reason, code,
               messages, reports
        FROM sms_data.message_delta
    ) AS counted;

COMMENT ON VIEW sms.daily_codes IS
    'Messages counted by day and code, for months and years: as sms.daily, and four times as many rows.';
COMMENT ON COLUMN sms.daily_codes.day IS
    'Day (UTC) in which the first report about the messages, or their submission, arrived here.';
COMMENT ON COLUMN sms.daily_codes.provider IS
    'Short name of the platform.';
COMMENT ON COLUMN sms.daily_codes.country IS
    'Country of the recipients'' numbers, ISO 3166 alpha-2; null where unknown.';
COMMENT ON COLUMN sms.daily_codes.status IS
    'SMPP message state of the messages, as in sms.message.';
COMMENT ON COLUMN sms.daily_codes.reason IS
    'Why the messages did not arrive; null for delivered messages and for those under way.';
COMMENT ON COLUMN sms.daily_codes.final IS
    'Whether no other state follows this status.';
COMMENT ON COLUMN sms.daily_codes.code IS
    'The platform''s own code of the report that decided the state, as in sms.hourly.';
COMMENT ON COLUMN sms.daily_codes.messages IS
    'Number of messages.';
COMMENT ON COLUMN sms.daily_codes.reports IS
    'Number of different reports about these messages.';

CREATE VIEW sms.daily_delivery_times AS
    SELECT day,
           provider,
           nullif(country, '') AS country,
           power(1.1::double precision, bucket - 0.5::double precision) AS seconds,
           messages
    FROM (
        SELECT day, provider, country, bucket, messages FROM sms_data.delivery_time_day_count
        UNION ALL
        SELECT date_bin('1 day'::interval, hour, '2001-01-01 00:00+00'::timestamptz), provider, country, bucket, messages
        FROM sms_data.delivery_time_delta
    ) AS counted;

COMMENT ON VIEW sms.daily_delivery_times IS
    'How long deliveries took: sms.delivery_times added up by the day, for months and years.';
COMMENT ON COLUMN sms.daily_delivery_times.day IS
    'Day (UTC) of submission.';
COMMENT ON COLUMN sms.daily_delivery_times.provider IS
    'Short name of the platform.';
COMMENT ON COLUMN sms.daily_delivery_times.country IS
    'Country of the recipients'' numbers, ISO 3166 alpha-2; null where unknown.';
COMMENT ON COLUMN sms.daily_delivery_times.seconds IS
    'Seconds from submission to delivery: the middle of a step, as in sms.delivery_times.';
COMMENT ON COLUMN sms.daily_delivery_times.messages IS
    'Number of messages.';
