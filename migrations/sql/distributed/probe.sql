-- A batch of reports has rows on nearly every node, so it can be committed when every node commits. A probe shows just that:
-- it adds a row to a table that has a copy on each.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'sms_data.probe'::regclass) THEN
        PERFORM create_reference_table('sms_data.probe');
    END IF;
END
$$;

-- It deletes nothing: whoever deletes from such a table holds off all others that change it, for as long as its
-- transaction is open, and a login with the service's rights may call this. `receiver maintain` deletes, as the owner.
CREATE OR REPLACE FUNCTION sms_data.probe() RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$ INSERT INTO sms_data.probe DEFAULT VALUES $$;
