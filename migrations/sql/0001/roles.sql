-- sms_reader: dashboards. It sees the views and nothing else.
-- sms_writer: the service. It adds rows, calls functions that run with their owner's rights, and owns nothing.
-- Both are group roles without a login: GRANT sms_reader TO somebody. receiver/store/roles.py creates them.

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA sms_data FROM PUBLIC;

GRANT USAGE ON SCHEMA sms TO sms_reader, sms_writer;
GRANT SELECT ON ALL TABLES IN SCHEMA sms TO sms_reader, sms_writer;

GRANT USAGE ON SCHEMA sms_data TO sms_writer;
GRANT SELECT ON ALL TABLES IN SCHEMA sms_data TO sms_writer;
REVOKE SELECT ON sms_data.probe FROM sms_writer;
GRANT INSERT ON sms_data.reply, sms_data.reply_key, sms_data.submission, sms_data.envelope TO sms_writer;
GRANT INSERT, UPDATE, DELETE ON sms_data.code, sms_data.catalogue,
                                sms_data.reporting_window, sms_data.reporting_lag TO sms_writer;

-- It marks rejected payloads as replayed, and purges them.
GRANT INSERT, DELETE ON sms_data.rejected_payload TO sms_writer;
GRANT UPDATE (replayed_at) ON sms_data.rejected_payload TO sms_writer;

GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA sms_data TO sms_writer;
REVOKE EXECUTE ON FUNCTION sms_data.recount, sms_data.thin_counts, sms_data.count_messages, sms_data.count_changes,
                           sms_data.count_submissions
    FROM sms_writer;

-- What the views and functions of the contract call runs with the reader's rights.
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA sms TO sms_reader, sms_writer;

-- PUBLIC may execute a new function until that is revoked (hand_over.sql does, for all existing ones).
ALTER DEFAULT PRIVILEGES FOR ROLE sms_owner REVOKE ALL ON FUNCTIONS FROM PUBLIC;
