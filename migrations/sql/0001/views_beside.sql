-- The rest of the SQL contract: what stands beside the messages.

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
