-- Citus hides shards from whoever reads pg_class, by a call for each row. A driver that asks which columns a composite type
-- has compares all types with all tables: seconds for each connection, where there are milliseconds without the hiding.
DO $$
BEGIN
    IF current_setting('citus.override_table_visibility')::boolean THEN
        EXECUTE format('ALTER DATABASE %I SET citus.override_table_visibility = off', current_database());
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION 'an administrator has to run this first: ALTER DATABASE % SET citus.override_table_visibility = off',
        quote_ident(current_database());
END
$$;

-- A lock time-out of a transaction holds on the other nodes too, where the rows are that it waits for.
DO $$
BEGIN
    IF current_setting('citus.propagate_set_commands') <> 'local' THEN
        EXECUTE format('ALTER DATABASE %I SET citus.propagate_set_commands = local', current_database());
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION 'an administrator has to run this first: ALTER DATABASE % SET citus.propagate_set_commands = local',
        quote_ident(current_database());
END
$$;
