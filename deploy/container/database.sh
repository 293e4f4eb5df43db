#!/bin/sh
# Run by the image of PostgreSQL when its folder is made: the three roles and a login in each, named as
# deploy/postgresql/setup.sql names them. They get into this database and into no other.
set -eu
for name in POSTGRES_PASSWORD OWNER_PASSWORD WRITER_PASSWORD READER_PASSWORD; do
    eval "value=\${$name:-}"
    case $value in
    *[Cc][Hh][Aa][Nn][Gg][Ee]-[Mm][Ee]*)
        echo "$name: still says CHANGE-ME, as the example does. Put a value of your own into database.env, then:" \
            "docker compose down && docker volume rm receiver_database" >&2
        exit 1
        ;;
    esac
done
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" \
    --set=database="$POSTGRES_DB" --set=owner="$OWNER_PASSWORD" --set=writer="$WRITER_PASSWORD" \
    --set=reader="$READER_PASSWORD" <<'SQL'
CREATE ROLE sms_owner NOLOGIN;
CREATE ROLE sms_writer NOLOGIN;
CREATE ROLE sms_reader NOLOGIN;
CREATE ROLE sms_migrate LOGIN PASSWORD :'owner' IN ROLE sms_owner;
CREATE ROLE sms_receiver LOGIN PASSWORD :'writer' IN ROLE sms_writer;
CREATE ROLE sms_dashboard LOGIN PASSWORD :'reader' IN ROLE sms_reader;
ALTER ROLE sms_dashboard SET default_transaction_read_only = on;
ALTER ROLE sms_dashboard SET statement_timeout = '60s';
ALTER ROLE sms_dashboard SET idle_in_transaction_session_timeout = '60s';
ALTER DATABASE :"database" OWNER TO sms_owner;
REVOKE CONNECT, TEMPORARY ON DATABASE :"database", postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO sms_writer, sms_reader;
SQL
