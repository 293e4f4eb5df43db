-- The SQL contract: views over the tables, every view and every column with a comment. They show the fields of a row's
-- envelope as if they were in the row; an envelope is looked up by its key, and only if the column is selected.

CREATE VIEW sms.delivery_report AS
    SELECT report_id,
           provider,
           message_id,
           recipient,
           country,
           sender,
           segment,
           segments,
           status,
           reason,
           status IN ('expired', 'deleted', 'undeliverable', 'rejected', 'delivered') AS final,
           code,
           detail,
           operator_code,
           reported_by,
           coalesce(context::jsonb, (SELECT e.context FROM sms_data.envelope AS e
                                     WHERE (e.message_id, e.provider, e.envelope_id)
                                           = (report.message_id, report.provider, report.envelope_id))) AS context,
           happened_at,
           received_at,
           remote_addr,
           CASE WHEN envelope_id IS NULL THEN raw::jsonb
                ELSE coalesce((SELECT e.raw FROM sms_data.envelope AS e
                               WHERE (e.message_id, e.provider, e.envelope_id)
                                     = (report.message_id, report.provider, report.envelope_id)), '{}') || raw::jsonb END AS raw
    FROM sms_data.report;

COMMENT ON VIEW sms.delivery_report IS
    'Every delivery report as it was received and normalised: one row a report, resent ones once.';
COMMENT ON COLUMN sms.delivery_report.report_id IS
    'Identity of the report: the same report has the same id, however often and by whichever way it comes.';
COMMENT ON COLUMN sms.delivery_report.provider IS 'Short name of the platform that reported.';
COMMENT ON COLUMN sms.delivery_report.message_id IS 'The platform''s id of the message, verbatim.';
COMMENT ON COLUMN sms.delivery_report.recipient IS
    'The subscriber the message was sent to, in E.164 with +; null where the platform does not say enough.';
COMMENT ON COLUMN sms.delivery_report.country IS
    'Country of the recipient''s number, ISO 3166 alpha-2; null where unknown.';
COMMENT ON COLUMN sms.delivery_report.sender IS
    'Sender id or number of the message, where the platform repeats it.';
COMMENT ON COLUMN sms.delivery_report.segment IS
    'Number of the segment of a long message that this report is about, from 1; null where the platform does not say.';
COMMENT ON COLUMN sms.delivery_report.segments IS
    'Number of segments of the message; null where the platform does not say.';
COMMENT ON COLUMN sms.delivery_report.status IS
    'SMPP message state in lower case: unknown, enroute, accepted, expired, deleted, undeliverable, rejected or delivered.';
COMMENT ON COLUMN sms.delivery_report.reason IS
    'Why the message did not arrive; null for delivered messages and for those under way.';
COMMENT ON COLUMN sms.delivery_report.final IS 'Whether no other state follows this status.';
COMMENT ON COLUMN sms.delivery_report.code IS
    'The platform''s own status code, verbatim; sms.code explains it.';
COMMENT ON COLUMN sms.delivery_report.detail IS 'The platform''s own text about the status, if it sent one.';
COMMENT ON COLUMN sms.delivery_report.operator_code IS
    'Code of the network element behind the platform, passed through (Huawei orgCode).';
COMMENT ON COLUMN sms.delivery_report.reported_by IS
    'Who made the report: platform, smsc or huawei; null where the platform does not say.';
COMMENT ON COLUMN sms.delivery_report.context IS
    'The sender''s own correlation data, under the platform''s name for it (extend, CUSTOMER_BODY, ext).';
COMMENT ON COLUMN sms.delivery_report.happened_at IS
    'When it happened, by the platform''s clock; null where the platform''s time is missing or malformed.';
COMMENT ON COLUMN sms.delivery_report.received_at IS 'When the report arrived here, by our own clock.';
COMMENT ON COLUMN sms.delivery_report.remote_addr IS 'Address of the client that sent the report.';
COMMENT ON COLUMN sms.delivery_report.raw IS
    'The report as it came: every field, also those that nobody knows.';

CREATE VIEW sms.message AS
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
           coalesce(context::jsonb, (SELECT e.context FROM sms_data.envelope AS e
                                     WHERE (e.message_id, e.provider, e.envelope_id)
                                           = (message.message_id, message.provider, message.envelope_id))) AS context,
           happened_at,
           first_received_at,
           coalesce(last_received_at, first_received_at) AS last_received_at,
           submitted_at,
           CASE WHEN status = 'delivered' THEN extract(epoch FROM happened_at - submitted_at)::double precision END
               AS delivery_s
    FROM sms_data.message;

COMMENT ON VIEW sms.message IS
    'What became of each message: one row a message, its state merged from its submission and all its reports, in any order.';
COMMENT ON COLUMN sms.message.provider IS 'Short name of the platform that carries the message.';
COMMENT ON COLUMN sms.message.message_id IS 'The platform''s id of the message, verbatim.';
COMMENT ON COLUMN sms.message.recipient IS
    'The subscriber the message was sent to, in E.164 with +; null where the platform does not say enough.';
COMMENT ON COLUMN sms.message.country IS
    'Country of the recipient''s number, ISO 3166 alpha-2; null where unknown.';
COMMENT ON COLUMN sms.message.sender IS
    'Sender id or number of the message, where the platform repeats it.';
COMMENT ON COLUMN sms.message.status IS
    'SMPP message state: failed as soon as one segment failed for good, delivered once every segment is, under way until then.';
COMMENT ON COLUMN sms.message.reason IS
    'Why the message did not arrive; null for delivered messages and for those under way.';
COMMENT ON COLUMN sms.message.final IS
    'Whether no other state follows this status, save that a delivery outranks a failure.';
COMMENT ON COLUMN sms.message.code IS
    'The platform''s own code of the report that decided the state, verbatim; sms.code explains it.';
COMMENT ON COLUMN sms.message.segments IS 'Number of segments, as far as any report has told.';
COMMENT ON COLUMN sms.message.segments_reported IS 'Of how many segments there is at least one report.';
COMMENT ON COLUMN sms.message.context IS
    'The sender''s own correlation data, under the platform''s name for it (extend, CUSTOMER_BODY, ext).';
COMMENT ON COLUMN sms.message.happened_at IS
    'When the state came about, by the platform''s clock; null where that is unknown.';
COMMENT ON COLUMN sms.message.first_received_at IS
    'When the first report about the message, or its submission, arrived here.';
COMMENT ON COLUMN sms.message.last_received_at IS 'When the last report that was not a repetition arrived here.';
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
