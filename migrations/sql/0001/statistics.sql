-- The class of failure of each reason. The classes are those of the platforms' own statistics; reasons that fit none of
-- them are counted apart. Refused content, a missing permission or an empty account are no internal errors of a carrier.
CREATE TABLE sms_data.failure_class (
    reason text COLLATE "C" PRIMARY KEY,
    class  text COLLATE "C" NOT NULL
        CHECK (class IN ('internal_error', 'invalid_number', 'shutdown', 'black_list', 'frequency_limit', 'other'))
);

INSERT INTO sms_data.failure_class (reason, class) VALUES
    ('invalid_number',       'invalid_number'),
    ('number_ported',        'other'),
    ('number_unavailable',   'shutdown'),
    ('suspended',            'shutdown'),
    ('unreachable',          'shutdown'),
    ('handset_error',        'shutdown'),
    ('expired',              'shutdown'),
    ('blocklisted',          'black_list'),
    ('blocked',              'other'),
    ('rate_limited',         'frequency_limit'),
    ('duplicate_recipient',  'other'),
    ('content_rejected',     'other'),
    ('not_permitted',        'other'),
    ('insufficient_balance', 'other'),
    ('carrier_error',        'internal_error'),
    ('platform_error',       'other'),
    ('no_report',            'internal_error'),
    ('unknown',              'other');

CREATE VIEW sms.hourly AS
    SELECT hour,
           submitted_hour,
           provider,
           nullif(country, '') AS country,
           status,
           nullif(reason, '') AS reason,
           status IN ('expired', 'deleted', 'undeliverable', 'rejected', 'delivered') AS final,
           nullif(code, '') AS code,
           accepted,
           reported,
           messages,
           reports,
           segments,
           fees,
           requests
    FROM sms_data.message_counted;

COMMENT ON VIEW sms.hourly IS
    'Messages counted by hour and state, exact at every moment: several rows of one kind are to be added up with sum(), and one may be negative. Kept for longer than the messages.';
COMMENT ON COLUMN sms.hourly.hour IS
    'Hour (UTC) in which the first report about the messages, or their submission, arrived here.';
COMMENT ON COLUMN sms.hourly.submitted_hour IS
    'Hour (UTC) in which the messages were submitted; where that is unknown, as hour.';
COMMENT ON COLUMN sms.hourly.provider IS
    'Short name of the platform.';
COMMENT ON COLUMN sms.hourly.country IS
    'Country of the recipients'' numbers, ISO 3166 alpha-2; null where unknown.';
COMMENT ON COLUMN sms.hourly.status IS
    'SMPP message state of the messages, as in sms.message.';
COMMENT ON COLUMN sms.hourly.reason IS
    'Why the messages did not arrive; null for delivered messages and for those under way.';
COMMENT ON COLUMN sms.hourly.final IS
    'Whether no other state follows this status.';
COMMENT ON COLUMN sms.hourly.code IS
    'The platform''s own code of the report that decided the state, verbatim. Once the messages are gone: null for codes that are not in sms.code, in hours with more than a thousand codes.';
COMMENT ON COLUMN sms.hourly.accepted IS
    'Whether the answer to the submission, as far as it was handed over, took the messages.';
COMMENT ON COLUMN sms.hourly.reported IS
    'Whether there is at least one report about each message.';
COMMENT ON COLUMN sms.hourly.messages IS
    'Number of messages.';
COMMENT ON COLUMN sms.hourly.reports IS
    'Number of different reports about these messages; a second, different answer to a submission counts as one.';
COMMENT ON COLUMN sms.hourly.segments IS
    'Number of segments of these messages, as far as any report has told.';
COMMENT ON COLUMN sms.hourly.fees IS
    'Segments that are charged for, by the answers to submissions: counted in rows without messages, by the answer''s hour, status and code.';
COMMENT ON COLUMN sms.hourly.requests IS
    'Number of submissions, counted as fees are.';

CREATE VIEW sms.delivery_times AS
    SELECT hour,
           provider,
           nullif(country, '') AS country,
           power(1.1::double precision, bucket - 0.5::double precision) AS seconds,
           messages
    FROM sms_data.delivery_time_counted;

COMMENT ON VIEW sms.delivery_times IS
    'How long deliveries took, of messages whose submission was handed over: a histogram with steps of a tenth, to be added up with sum().';
COMMENT ON COLUMN sms.delivery_times.hour IS
    'Hour (UTC) of submission.';
COMMENT ON COLUMN sms.delivery_times.provider IS
    'Short name of the platform.';
COMMENT ON COLUMN sms.delivery_times.country IS
    'Country of the recipients'' numbers, ISO 3166 alpha-2; null where unknown.';
COMMENT ON COLUMN sms.delivery_times.seconds IS
    'Seconds from submission to delivery: the middle of a step, within 5 % of each message''s; all below one second count as one.';
COMMENT ON COLUMN sms.delivery_times.messages IS
    'Number of messages.';

CREATE VIEW sms.receipt_statistics AS
    SELECT submitted_hour AS hour,
           provider,
           coalesce(sum(messages) FILTER (WHERE accepted), 0)::bigint AS request_success_count,
           coalesce(sum(messages) FILTER (WHERE receipt), 0)::bigint AS callback_count,
           coalesce(sum(messages) FILTER (WHERE receipt AND status = 'delivered'), 0)::bigint AS callback_success_count,
           coalesce(sum(messages) FILTER (WHERE receipt AND status <> 'delivered'), 0)::bigint AS callback_fail_count,
           coalesce(sum(messages) FILTER (WHERE receipt AND class = 'internal_error'), 0)::bigint AS internal_error_count,
           coalesce(sum(messages) FILTER (WHERE receipt AND class = 'invalid_number'), 0)::bigint AS invalid_number_count,
           coalesce(sum(messages) FILTER (WHERE receipt AND class = 'shutdown'), 0)::bigint AS shutdown_error_count,
           coalesce(sum(messages) FILTER (WHERE receipt AND class = 'black_list'), 0)::bigint AS black_list_count,
           coalesce(sum(messages) FILTER (WHERE receipt AND class = 'frequency_limit'), 0)::bigint
               AS frequency_limit_count,
           coalesce(sum(messages) FILTER (WHERE receipt AND class = 'other'), 0)::bigint AS other_failure_count
    FROM (
        SELECT submitted_hour, provider, status, messages, accepted,
               reported AND status IN ('expired', 'deleted', 'undeliverable', 'rejected', 'delivered') AS receipt,
               CASE WHEN status <> 'delivered' THEN coalesce(failure_class.class, 'other') END AS class
        FROM sms_data.message_counted AS counted
        LEFT JOIN sms_data.failure_class ON failure_class.reason = counted.reason
    ) AS counted
    GROUP BY submitted_hour, provider
    HAVING sum(messages) <> 0;

COMMENT ON VIEW sms.receipt_statistics IS
    'Receipts (messages with a final report) by the hour of submission, in the terms of the platforms'' own statistics; each failed receipt is in one class.';
COMMENT ON COLUMN sms.receipt_statistics.hour IS
    'Hour in which the messages were submitted; where that is unknown, in which their first report arrived.';
COMMENT ON COLUMN sms.receipt_statistics.provider IS
    'Short name of the platform.';
COMMENT ON COLUMN sms.receipt_statistics.request_success_count IS
    'Messages that the platform took, as far as their submission was handed over.';
COMMENT ON COLUMN sms.receipt_statistics.callback_count IS
    'Messages with a receipt.';
COMMENT ON COLUMN sms.receipt_statistics.callback_success_count IS
    'Receipts that say delivered.';
COMMENT ON COLUMN sms.receipt_statistics.callback_fail_count IS
    'Receipts that say anything else that is final.';
COMMENT ON COLUMN sms.receipt_statistics.internal_error_count IS
    'Failed receipts because a network element of the carrier''s failed or never told the outcome.';
COMMENT ON COLUMN sms.receipt_statistics.invalid_number_count IS
    'Failed receipts because the number is malformed or nobody''s.';
COMMENT ON COLUMN sms.receipt_statistics.shutdown_error_count IS
    'Failed receipts because the phone is off, out of coverage, suspended or faulty.';
COMMENT ON COLUMN sms.receipt_statistics.black_list_count IS
    'Failed receipts because the recipient is on a blocklist or has unsubscribed.';
COMMENT ON COLUMN sms.receipt_statistics.frequency_limit_count IS
    'Failed receipts because of a limit on how often one may send.';
COMMENT ON COLUMN sms.receipt_statistics.other_failure_count IS
    'Failed receipts that fit none of the five classes: content, permission, balance, a cause that nobody stated.';

CREATE VIEW sms.send_statistics AS
    SELECT submitted_hour AS hour,
           provider,
           sum(fees)::bigint AS fee_count,
           sum(requests)::bigint AS request_count,
           coalesce(sum(requests) FILTER (WHERE accepted), 0)::bigint AS request_success_count
    FROM sms_data.message_counted
    WHERE requests <> 0
    GROUP BY submitted_hour, provider
    HAVING sum(requests) <> 0;

COMMENT ON VIEW sms.send_statistics IS
    'Submissions by hour, in the terms of the platforms'' own statistics.';
COMMENT ON COLUMN sms.send_statistics.hour IS
    'Hour of submission.';
COMMENT ON COLUMN sms.send_statistics.provider IS
    'Short name of the platform.';
COMMENT ON COLUMN sms.send_statistics.fee_count IS
    'Segments that are charged for.';
COMMENT ON COLUMN sms.send_statistics.request_count IS
    'Messages handed to the platform.';
COMMENT ON COLUMN sms.send_statistics.request_success_count IS
    'Messages that the platform took.';
