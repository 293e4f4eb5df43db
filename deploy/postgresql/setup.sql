-- Roles, logins and the database, by whoever administers the cluster. No superuser is needed: CREATEROLE and CREATEDB
-- are enough, which the first user of a managed service has. It can be run again.
--
--     psql -f setup.sql "postgresql://admin@db.example/postgres"
--     psql -v database=sms -v migrator=sms_migrate -v service=sms_receiver -v dashboard=sms_dashboard -f setup.sql …
--
-- It sets no password, so that none ends in a server's log. Afterwards, in psql: \password sms_migrate, and so on.
-- Then, with the migrator's URL: receiver migrate. The service gets the URL of `service`, and nobody's else.

\set ON_ERROR_STOP on
SET client_min_messages = warning; -- not what is there already
\if :{?database} \else
    \set database sms
\endif
\if :{?migrator} \else
    \set migrator sms_migrate
\endif
\if :{?service} \else
    \set service sms_receiver
\endif
\if :{?dashboard} \else
    \set dashboard sms_dashboard
\endif

-- What may be done is granted to groups: sms_owner owns everything, sms_writer is the service, sms_reader the dashboards.
SELECT format('CREATE ROLE %I NOLOGIN', name)
FROM unnest(ARRAY['sms_owner', 'sms_writer', 'sms_reader']) AS name
WHERE to_regrole(quote_ident(name)) IS NULL
\gexec

-- Who logs in. The service needs four connections an instance, six more while people read, and a few for the commands.
SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest(ARRAY[:'migrator', :'service', :'dashboard']) AS name
WHERE to_regrole(quote_ident(name)) IS NULL
\gexec
GRANT sms_owner TO :"migrator";
GRANT sms_writer TO :"service";
GRANT sms_reader TO :"dashboard";

-- How far the standbys are, which RECEIVER_REQUIRE_SYNC_REPLICA asks after each commit. It shows other sessions' queries too.
\if :{?see_standbys}
    GRANT pg_read_all_stats TO sms_writer;
\endif

-- Before PostgreSQL 16 an administrator is a member of nothing, and since then of what it creates, without its rights.
SELECT format('GRANT sms_owner TO %I', current_user) WHERE NOT pg_has_role('sms_owner', 'USAGE')
\gexec
SELECT format('CREATE DATABASE %I OWNER sms_owner', :'database')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database')
\gexec
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO sms_writer, sms_reader;

-- A forgotten query of a dashboard would keep old rows from being vacuumed, and the ring of rejected payloads from moving.
ALTER ROLE :"dashboard" SET default_transaction_read_only = on;
ALTER ROLE :"dashboard" SET statement_timeout = '60s';
ALTER ROLE :"dashboard" SET idle_in_transaction_session_timeout = '60s';

-- Nobody can put a function of his own into anybody's way (a default since PostgreSQL 15).
\connect :"database"
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- What every login may call that writes.
\ir functions.sql
