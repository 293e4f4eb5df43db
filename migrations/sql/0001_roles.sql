-- sms_reader: dashboards. It sees the views and nothing else.
-- sms_writer: the service. It adds and changes rows and owns nothing.
-- Both are group roles without a login: GRANT sms_reader TO somebody.

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['sms_reader', 'sms_writer'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- another database of this cluster was migrated at the same moment
            END;
        END IF;
    END LOOP;
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA sms_data FROM PUBLIC;

GRANT USAGE ON SCHEMA sms TO sms_reader, sms_writer;
GRANT SELECT ON ALL TABLES IN SCHEMA sms TO sms_reader, sms_writer;

GRANT USAGE ON SCHEMA sms_data TO sms_writer;
GRANT SELECT ON ALL TABLES IN SCHEMA sms_data TO sms_writer;
GRANT INSERT, UPDATE ON sms_data.message TO sms_writer;
GRANT INSERT ON sms_data.report, sms_data.reply, sms_data.reply_key TO sms_writer;
GRANT INSERT, UPDATE, DELETE ON sms_data.rejected_payload, sms_data.code, sms_data.catalogue TO sms_writer;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA sms_data TO sms_writer;
