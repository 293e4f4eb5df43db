-- Submissions in the SQL contract: new views, and two more columns of sms.message.

CREATE OR REPLACE VIEW sms.message AS
    SELECT provider,
           message_id,
           recipient,
           country,
           sender,
           status,
           reason,
           status IN ('expired', 'deleted', 'undeliverable', 'rejected', 'delivered') AS final,
           code,
           segments,
           segments_reported,
           context::jsonb AS context,
           happened_at,
           first_received_at,
           last_received_at,
           submitted_at,
           CASE WHEN status = 'delivered' THEN extract(epoch FROM happened_at - submitted_at)::double precision END
               AS delivery_s
    FROM sms_data.message;

COMMENT ON VIEW sms.message IS
    'What became of each message: one row a message, its state merged from its submission and all its reports, in any order.';
COMMENT ON COLUMN sms.message.first_received_at IS
    'When the first report about the message, or its submission, arrived here.';
COMMENT ON COLUMN sms.message.submitted_at IS
    'When the message was handed to the platform; null for a message whose submission nobody told us.';
COMMENT ON COLUMN sms.message.delivery_s IS
    'Seconds from submission to delivery; null until delivered, or where one of the two is unknown.';

CREATE VIEW sms.submission AS
    SELECT submission_id,
           provider,
           message_id,
           recipient,
           country,
           sender,
           segments,
           fee,
           status,
           reason,
           code,
           detail,
           correlation,
           context,
           submitted_at,
           received_at,
           remote_addr,
           raw
    FROM sms_data.submission;

COMMENT ON VIEW sms.submission IS
    'What a platform answered when a message was handed to it, as the sending application told us.';
COMMENT ON COLUMN sms.submission.submission_id IS
    'Identity of the submission: the same answer, handed over again, has the same id.';
COMMENT ON COLUMN sms.submission.provider IS
    'Short name of the platform.';
COMMENT ON COLUMN sms.submission.message_id IS
    'The platform''s id of the message, verbatim; made up (refused-…) where it refused the message without one.';
COMMENT ON COLUMN sms.submission.recipient IS
    'The subscriber the message was sent to, in E.164 with +; null where the answer does not say enough.';
COMMENT ON COLUMN sms.submission.country IS
    'Country of the recipient''s number, ISO 3166 alpha-2; null where unknown.';
COMMENT ON COLUMN sms.submission.sender IS
    'Sender id or number of the message, where the answer repeats it.';
COMMENT ON COLUMN sms.submission.segments IS
    'Number of segments the message was split into; null where the answer does not say.';
COMMENT ON COLUMN sms.submission.fee IS
    'Number of segments that are charged for; 0 for a refused message.';
COMMENT ON COLUMN sms.submission.status IS
    'enroute for a message that the platform took, rejected for one that it refused.';
COMMENT ON COLUMN sms.submission.reason IS
    'Why the platform refused the message; null for one that it took.';
COMMENT ON COLUMN sms.submission.code IS
    'The platform''s own result code, verbatim; sms.code explains it.';
COMMENT ON COLUMN sms.submission.detail IS
    'The platform''s own text about the result, if it sent one.';
COMMENT ON COLUMN sms.submission.correlation IS
    'The sending application''s own value for this request, if it gave one.';
COMMENT ON COLUMN sms.submission.context IS
    'The sender''s own correlation data as the platform repeats it.';
COMMENT ON COLUMN sms.submission.submitted_at IS
    'When the platform took or refused the message; where its answer names no time, when it was handed over to us.';
COMMENT ON COLUMN sms.submission.received_at IS
    'When the submission was handed over to us, by our own clock.';
COMMENT ON COLUMN sms.submission.remote_addr IS
    'Address of the client that handed it over.';
COMMENT ON COLUMN sms.submission.raw IS
    'The platform''s answer about this message as it came: every field.';

CREATE VIEW sms.overdue_message AS
    SELECT message.provider AS provider,
           message.message_id AS message_id,
           message.recipient AS recipient,
           message.country AS country,
           message.sender AS sender,
           message.status AS status,
           message.submitted_at AS submitted_at,
           extract(epoch FROM now() - message.awaited_since)::double precision AS waiting_s,
           least(reporting_lag.p99_s, reporting_window.hours * 3600.0) AS expected_s,
           CASE WHEN message.awaited_since < now() - make_interval(hours => reporting_window.hours)
                THEN 'window' ELSE 'lag' END AS rule
    FROM sms_data.message
    JOIN sms_data.reporting_window USING (provider)
    LEFT JOIN sms_data.reporting_lag
           ON reporting_lag.provider = message.provider AND reporting_lag.country = coalesce(message.country, '')
    WHERE message.awaited_since IS NOT NULL
      AND message.awaited_since
          < now() - make_interval(secs => least(reporting_lag.p99_s, reporting_window.hours * 3600.0));

COMMENT ON VIEW sms.overdue_message IS
    'Messages that a platform took and has not told the end of, although it should have by now.';
COMMENT ON COLUMN sms.overdue_message.provider IS
    'Short name of the platform.';
COMMENT ON COLUMN sms.overdue_message.message_id IS
    'The platform''s id of the message, verbatim.';
COMMENT ON COLUMN sms.overdue_message.recipient IS
    'The subscriber the message was sent to, in E.164 with +; null where unknown.';
COMMENT ON COLUMN sms.overdue_message.country IS
    'Country of the recipient''s number, ISO 3166 alpha-2; null where unknown.';
COMMENT ON COLUMN sms.overdue_message.sender IS
    'Sender id or number of the message, where the platform repeats it.';
COMMENT ON COLUMN sms.overdue_message.status IS
    'The state that the message is known to be in; not a final one.';
COMMENT ON COLUMN sms.overdue_message.submitted_at IS
    'When the message was handed to the platform.';
COMMENT ON COLUMN sms.overdue_message.waiting_s IS
    'Seconds since then.';
COMMENT ON COLUMN sms.overdue_message.expected_s IS
    'Seconds within which the end should have been told.';
COMMENT ON COLUMN sms.overdue_message.rule IS
    'window: the platform''s reporting window is over, no report will come. lag: 99 of 100 messages of this platform to this country were faster of late.';

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
           count(*) FILTER (WHERE reported AND class = 'frequency_limit') AS frequency_limit_count
    FROM (
        SELECT date_trunc('hour', coalesce(submitted_at, first_received_at)) AS hour, provider, status,
               parts #>> '{-1,3}' = 'enroute' AS accepted,
               status IN ('expired', 'deleted', 'undeliverable', 'rejected', 'delivered')
                   AND parts - '-1' <> '{}' AS reported,
               CASE WHEN status <> 'delivered' THEN coalesce(failure_class.class, 'internal_error') END AS class
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
    'Failed receipts that the carrier''s or the platform''s own side is to blame for.';
COMMENT ON COLUMN sms.receipt_statistics.invalid_number_count IS
    'Failed receipts because of the number.';
COMMENT ON COLUMN sms.receipt_statistics.shutdown_error_count IS
    'Failed receipts because the phone is off, out of coverage, suspended or faulty.';
COMMENT ON COLUMN sms.receipt_statistics.black_list_count IS
    'Failed receipts because the recipient or the message is blocked.';
COMMENT ON COLUMN sms.receipt_statistics.frequency_limit_count IS
    'Failed receipts because of a limit on how often one may send.';

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
