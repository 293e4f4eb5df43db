-- As 0002/views.sql has them, with the anchor in both halves: so each shard adds up its own.

CREATE OR REPLACE VIEW sms.daily AS
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
        SELECT day, provider, country, status, reason, messages, taken, silent, reports, segments, fees, requests, anchor
        FROM sms_data.message_day_count
        UNION ALL
        SELECT date_bin('1 day'::interval, hour, '2001-01-01 00:00+00'::timestamptz), provider, country, status, reason,
               messages, CASE WHEN accepted THEN messages ELSE 0 END, CASE WHEN reported THEN 0 ELSE messages END,
               reports, segments, fees, requests, anchor
        FROM sms_data.message_delta
    ) AS counted;

CREATE OR REPLACE VIEW sms.daily_codes AS
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
        SELECT day, provider, country, status, reason, code, messages, reports, anchor FROM sms_data.code_day_count
        UNION ALL
        SELECT date_bin('1 day'::interval, hour, '2001-01-01 00:00+00'::timestamptz), provider, country, status, reason, code,
               messages, reports, anchor
        FROM sms_data.message_delta
    ) AS counted;

CREATE OR REPLACE VIEW sms.daily_delivery_times AS
    SELECT day,
           provider,
           nullif(country, '') AS country,
           power(1.1::double precision, bucket - 0.5::double precision) AS seconds,
           messages
    FROM (
        SELECT day, provider, country, bucket, messages, anchor FROM sms_data.delivery_time_day_count
        UNION ALL
        SELECT date_bin('1 day'::interval, hour, '2001-01-01 00:00+00'::timestamptz), provider, country, bucket, messages, anchor
        FROM sms_data.delivery_time_delta
    ) AS counted;
