REVOKE ALL ON ALL FUNCTIONS IN SCHEMA sms_data FROM PUBLIC;

GRANT SELECT ON ALL TABLES IN SCHEMA sms TO sms_reader, sms_writer;

GRANT SELECT ON ALL TABLES IN SCHEMA sms_data TO sms_writer;
GRANT INSERT ON sms_data.submission TO sms_writer;
GRANT INSERT, UPDATE, DELETE ON sms_data.reporting_window, sms_data.reporting_lag TO sms_writer;
