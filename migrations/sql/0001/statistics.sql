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

CREATE VIEW sms.receipt_statistics AS
    SELECT hour,
           provider,
           count(*) FILTER (WHERE accepted) AS request_success_count,
           count(*) FILTER (WHERE reported) AS callback_count,
           count(*) FILTER (WHERE reported AND status = 'delivered') AS callback_success_count,
           count(*) FILTER (WHERE reported AND status <> 'delivered') AS callback_fail_count,
           count(*) FILTER (WHERE reported AND class = 'internal_error') AS internal_error_count,
           count(*) FILTER (WHERE reported AND class = 'invalid_number') AS invalid_number_count,
           count(*) FILTER (WHERE reported AND class = 'shutdown') AS shutdown_error_count,
           count(*) FILTER (WHERE reported AND class = 'black_list') AS black_list_count,
           count(*) FILTER (WHERE reported AND class = 'frequency_limit') AS frequency_limit_count,
           count(*) FILTER (WHERE reported AND class = 'other') AS other_failure_count
    FROM (
        SELECT date_trunc('hour', coalesce(submitted_at, first_received_at)) AS hour, provider, status,
               CASE WHEN parts IS NULL THEN part = -1 AND status = 'enroute'
                    ELSE parts #>> '{-1,3}' = 'enroute' END AS accepted,
               status IN ('expired', 'deleted', 'undeliverable', 'rejected', 'delivered')
                   AND CASE WHEN parts IS NULL THEN part <> -1 ELSE parts - '-1' <> '{}' END AS reported,
               CASE WHEN status <> 'delivered' THEN coalesce(failure_class.class, 'other') END AS class
        FROM sms_data.message
        LEFT JOIN sms_data.failure_class ON failure_class.reason = message.reason
    ) AS message
    GROUP BY hour, provider;

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
    SELECT date_trunc('hour', submitted_at) AS hour,
           provider,
           sum(fee) AS fee_count,
           count(*) AS request_count,
           count(*) FILTER (WHERE status = 'enroute') AS request_success_count
    FROM sms_data.submission
    GROUP BY 1, 2;

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
