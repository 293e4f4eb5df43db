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

-- What lies on one node alone is committed in one phase, as that node's own setting says: the one that the coordinator sets
-- for a transaction is not sent along.
DO $$
BEGIN
    IF EXISTS (SELECT FROM run_command_on_all_nodes($c$ SELECT current_setting('synchronous_commit') $c$)
               WHERE result IN ('off', 'local')) THEN
        EXECUTE format('ALTER DATABASE %I SET synchronous_commit = on', current_database());
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION 'an administrator has to run this first: ALTER DATABASE % SET synchronous_commit = on',
        quote_ident(current_database());
END
$$;
