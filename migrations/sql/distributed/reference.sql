-- Small tables that others are joined with, and the one that a service asks first: a copy on every node.
DO $$
DECLARE
    name regclass;
BEGIN
    FOREACH name IN ARRAY ARRAY['sms_data.code', 'sms_data.catalogue', 'sms_data.failure_class', 'sms_data.counts_only',
                                'sms_data.reporting_window', 'sms_data.reporting_lag',
                                'sms_data.alembic_version']::regclass[]
    LOOP
        IF NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = name) THEN
            PERFORM create_reference_table(name);
        END IF;
    END LOOP;
END
$$;
