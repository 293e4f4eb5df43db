-- The SQL contract: views over the tables, every view and every column with a comment.

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
           context,
           happened_at,
           received_at,
           remote_addr,
           raw
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
           context::jsonb AS context,
           happened_at,
           first_received_at,
           last_received_at
    FROM sms_data.message;

COMMENT ON VIEW sms.message IS
    'What became of each message: one row a message, its state merged from all its reports, in any order.';
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
COMMENT ON COLUMN sms.message.first_received_at IS 'When the first report about the message arrived here.';
COMMENT ON COLUMN sms.message.last_received_at IS 'When the last report that was not a repetition arrived here.';

CREATE VIEW sms.reply AS
    SELECT reply_id,
           provider,
           message_id,
           sender,
           recipient,
           body,
           sign,
           extend,
           sent_at,
           received_at,
           raw,
           remote_addr
    FROM sms_data.reply;

COMMENT ON VIEW sms.reply IS
    'Mobile-originated messages: what subscribers sent to us.';
COMMENT ON COLUMN sms.reply.reply_id IS
    'Identity of the reply: the same reply, sent again, has the same id.';
COMMENT ON COLUMN sms.reply.provider IS 'Short name of the platform that passed the reply on.';
COMMENT ON COLUMN sms.reply.message_id IS
    'The platform''s id of the reply, where it has one; it has no link to a message that was sent.';
COMMENT ON COLUMN sms.reply.sender IS
    'The subscriber who wrote, in E.164 with +; null where the platform does not say enough.';
COMMENT ON COLUMN sms.reply.recipient IS 'The channel number that was written to, with its extension.';
COMMENT ON COLUMN sms.reply.body IS 'The text of the reply.';
COMMENT ON COLUMN sms.reply.sign IS
    'The SMS signature that the reply belongs to, where the platform says so.';
COMMENT ON COLUMN sms.reply.extend IS
    'The extension of the channel number, where the platform says so apart.';
COMMENT ON COLUMN sms.reply.sent_at IS
    'When the subscriber sent it, by the platform''s clock; null where that is unknown.';
COMMENT ON COLUMN sms.reply.received_at IS 'When the reply arrived here, by our own clock.';
COMMENT ON COLUMN sms.reply.raw IS
    'The reply as it came: every field, also those that nobody knows.';
COMMENT ON COLUMN sms.reply.remote_addr IS 'Address of the client that passed the reply on.';

CREATE VIEW sms.rejected_payload AS
    SELECT rejected_id,
           provider,
           path,
           received_at,
           error,
           content_type,
           body,
           remote_addr,
           replayed_at
    FROM sms_data.rejected_payload;

COMMENT ON VIEW sms.rejected_payload IS
    'Bodies that could not be understood, in whole or in part: kept as they came, with the reason.';
COMMENT ON COLUMN sms.rejected_payload.rejected_id IS 'Identity of the rejected payload.';
COMMENT ON COLUMN sms.rejected_payload.provider IS 'Short name of the platform whose URL was called.';
COMMENT ON COLUMN sms.rejected_payload.path IS 'The callback URL''s path, without a token.';
COMMENT ON COLUMN sms.rejected_payload.received_at IS 'When the body arrived here, by our own clock.';
COMMENT ON COLUMN sms.rejected_payload.error IS
    'What could not be understood, item by item in a batch; the understood items were stored.';
COMMENT ON COLUMN sms.rejected_payload.content_type IS
    'The Content-Type header of the request; null where there was none.';
COMMENT ON COLUMN sms.rejected_payload.body IS 'The bytes of the body, as they came.';
COMMENT ON COLUMN sms.rejected_payload.remote_addr IS 'Address of the client that sent the body.';
COMMENT ON COLUMN sms.rejected_payload.replayed_at IS
    'When the body was read again and understood; null until then.';

CREATE VIEW sms.code AS
    SELECT provider,
           code,
           status,
           reason,
           final,
           meaning,
           advice
    FROM sms_data.code;

COMMENT ON VIEW sms.code IS
    'What each platform''s status codes mean. A code that ends in * is a pattern.';
COMMENT ON COLUMN sms.code.provider IS
    'Short name of the platform; the same code means different things at different platforms.';
COMMENT ON COLUMN sms.code.code IS 'The code, verbatim, or a pattern such as MA:*.';
COMMENT ON COLUMN sms.code.status IS 'The SMPP message state that the code stands for.';
COMMENT ON COLUMN sms.code.reason IS
    'Why a message with this code did not arrive; null for delivered messages and for those under way.';
COMMENT ON COLUMN sms.code.final IS 'Whether no other state follows.';
COMMENT ON COLUMN sms.code.meaning IS 'What the code says, in a sentence.';
COMMENT ON COLUMN sms.code.advice IS 'What to do about it.';
