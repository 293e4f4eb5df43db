-- As 0001/look_ups.sql has it, for shards: each finds by its indexes what names the recipient, and the messages beside it.
-- Citus plans no function in SQL that has a parameter to wait for.
CREATE OR REPLACE FUNCTION sms.messages_to(recipient text, since timestamptz DEFAULT now() - interval '30 days')
    RETURNS SETOF sms.message
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN QUERY
        SELECT m.*
        FROM sms.message AS m
        JOIN (
            SELECT r.message_id, r.provider FROM sms.delivery_report AS r
            WHERE r.recipient = messages_to.recipient AND r.received_at >= messages_to.since
            UNION
            SELECT s.message_id, s.provider FROM sms.submission AS s
            WHERE s.recipient = messages_to.recipient AND s.received_at >= messages_to.since
        ) AS named USING (message_id, provider)
        WHERE m.recipient = messages_to.recipient
        ORDER BY m.first_received_at DESC;
END
$$;
