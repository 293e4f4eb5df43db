-- What retention deletes row by row, over all shards. A place on the disk means nothing there, and no row can be locked
-- ahead: a batch is what arrived until a moment that leaves `most` rows, and a row that a writer has just changed is looked
-- at again once the writer has ended.
CREATE OR REPLACE FUNCTION sms_data.delete_old(
    name text, midnight timestamptz, most integer, since timestamptz,
    OUT considered integer, OUT deleted integer, OUT reached timestamptz
)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    CASE name
    WHEN 'message' THEN
        SELECT first_received_at INTO reached FROM sms_data.message
        WHERE first_received_at >= since AND first_received_at < midnight
              AND coalesce(last_received_at, first_received_at) < midnight
        ORDER BY first_received_at OFFSET most - 1 LIMIT 1;
        DELETE FROM sms_data.message
        WHERE first_received_at >= since AND first_received_at < midnight
              AND coalesce(last_received_at, first_received_at) < midnight
              AND first_received_at <= coalesce(reached, midnight);
    WHEN 'envelope' THEN
        -- Those that their messages keep are no part of a batch: it would end where it began, and the next one too.
        SELECT e.received_at INTO reached FROM sms_data.envelope AS e
        WHERE received_at >= since AND received_at < midnight
              AND NOT EXISTS (SELECT FROM sms_data.message AS m
                              WHERE m.message_id = e.message_id AND m.provider = e.provider)
        ORDER BY received_at OFFSET most - 1 LIMIT 1;
        DELETE FROM sms_data.envelope AS e
        WHERE received_at >= since AND received_at < midnight AND received_at <= coalesce(reached, midnight)
              AND NOT EXISTS (SELECT FROM sms_data.message AS m
                              WHERE m.message_id = e.message_id AND m.provider = e.provider);
    WHEN 'reply_key' THEN
        SELECT received_at INTO reached FROM sms_data.reply_key
        WHERE received_at >= since AND received_at < midnight ORDER BY received_at OFFSET most - 1 LIMIT 1;
        DELETE FROM sms_data.reply_key
        WHERE received_at >= since AND received_at < midnight AND received_at <= coalesce(reached, midnight);
    END CASE;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    considered := CASE WHEN reached IS NULL THEN 0 ELSE most END;
END
$$;
