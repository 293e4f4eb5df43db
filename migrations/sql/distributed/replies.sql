-- Replies are distributed by their id, and lie beside their keys.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'sms_data.reply_key'::regclass) THEN
        PERFORM create_distributed_table('sms_data.reply_key', 'reply_id', colocate_with => 'none',
                                         shard_count => current_setting('sms.shards')::integer);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'sms_data.reply'::regclass) THEN
        PERFORM create_distributed_table('sms_data.reply', 'reply_id', colocate_with => 'sms_data.reply_key');
    END IF;
END
$$;
