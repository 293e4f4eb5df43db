-- What PostgreSQL lets every login call although it writes: large objects, and records of one's own in the WAL, fill the
-- disk; and an advisory lock can be the one that a migration waits for. Taken from PUBLIC here, in this database alone.
-- That takes a superuser: by anybody else it changes nothing, and says so. setup.sql includes it.
--
--     psql -f functions.sql "postgresql://superuser@db.example/sms"

SELECT format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', oid::regprocedure)
FROM pg_proc
WHERE pronamespace = 'pg_catalog'::regnamespace
      AND pg_has_role(proowner, 'USAGE')
      AND (proname ~ '^(lo_|pg_(try_)?advisory_)' OR proname IN ('loread', 'lowrite', 'pg_logical_emit_message'))
\gexec

-- `receiver migrate` takes one such lock, so that one migration runs at a time.
SELECT format('GRANT EXECUTE ON FUNCTION %s TO sms_owner', oid::regprocedure)
FROM pg_proc
WHERE pronamespace = 'pg_catalog'::regnamespace
      AND pg_has_role(proowner, 'USAGE')
      AND proname ~ '^pg_(try_)?advisory_'
\gexec

SELECT NOT pg_has_role(proowner, 'USAGE') AS takes_a_superuser
FROM pg_proc WHERE oid = 'pg_catalog.lo_create(oid)'::regprocedure
\gset
\if :takes_a_superuser
    \echo 'Not a superuser: every login may still write large objects and WAL, and hold advisory locks. See README.md.'
\endif
