-- The service writes states and reports by the function alone. The right to update a table includes the right to lock
-- it, and to set any state of a message by hand.

ALTER FUNCTION sms_data.store_reports(json, json, integer, integer, integer)
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp;

REVOKE INSERT, UPDATE ON sms_data.message FROM sms_writer;
REVOKE INSERT ON sms_data.report FROM sms_writer;
