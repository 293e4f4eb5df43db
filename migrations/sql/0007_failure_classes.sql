-- The classes are those of the platforms' own statistics; reasons that fit none of them are counted apart. Refused
-- content, a missing permission or an empty account are no internal errors of a carrier.

ALTER TABLE sms_data.failure_class DROP CONSTRAINT failure_class_class_check;
ALTER TABLE sms_data.failure_class ADD CHECK
    (class IN ('internal_error', 'invalid_number', 'shutdown', 'black_list', 'frequency_limit', 'other'));

UPDATE sms_data.failure_class SET class = 'other'
WHERE reason IN ('number_ported', 'blocked', 'duplicate_recipient', 'content_rejected', 'not_permitted',
                 'insufficient_balance', 'platform_error', 'unknown');

CREATE OR REPLACE VIEW sms.receipt_statistics AS
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
               parts #>> '{-1,3}' = 'enroute' AS accepted,
               status IN ('expired', 'deleted', 'undeliverable', 'rejected', 'delivered')
                   AND parts - '-1' <> '{}' AS reported,
               CASE WHEN status <> 'delivered' THEN coalesce(failure_class.class, 'other') END AS class
        FROM sms_data.message
        LEFT JOIN sms_data.failure_class ON failure_class.reason = message.reason
    ) AS message
    GROUP BY hour, provider;

COMMENT ON COLUMN sms.receipt_statistics.internal_error_count IS
    'Failed receipts because a network element of the carrier''s failed or never told the outcome.';
COMMENT ON COLUMN sms.receipt_statistics.invalid_number_count IS
    'Failed receipts because the number is malformed or nobody''s.';
COMMENT ON COLUMN sms.receipt_statistics.black_list_count IS
    'Failed receipts because the recipient is on a blocklist or has unsubscribed.';
COMMENT ON COLUMN sms.receipt_statistics.other_failure_count IS
    'Failed receipts that fit none of the five classes: content, permission, balance, a cause that nobody stated.';
