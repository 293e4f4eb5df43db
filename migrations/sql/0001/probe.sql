-- A probe inserts a row and updates none: an update waits for other transactions that updated the row, and a login with
-- the service's rights could hold such a lock and keep all instances from writing to PostgreSQL.
CREATE TABLE sms_data.probe (
    probed_at timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION sms_data.probe() RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM sms_data.probe
    WHERE ctid IN (SELECT ctid FROM sms_data.probe
                   WHERE probed_at < now() - interval '1 hour'
                   LIMIT 100 FOR UPDATE SKIP LOCKED);
    INSERT INTO sms_data.probe DEFAULT VALUES;
$$;
