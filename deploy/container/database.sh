#!/bin/sh
# Run by the image of PostgreSQL when its folder is made: the three roles, and a login for each of the two that need one.
set -eu
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" \
    --set=database="$POSTGRES_DB" --set=owner="$OWNER_PASSWORD" --set=writer="$WRITER_PASSWORD" <<'SQL'
CREATE ROLE sms_owner NOLOGIN;
CREATE ROLE sms_writer NOLOGIN;
CREATE ROLE sms_reader NOLOGIN;
CREATE ROLE receiver_owner LOGIN PASSWORD :'owner' IN ROLE sms_owner;
CREATE ROLE receiver LOGIN PASSWORD :'writer' IN ROLE sms_writer;
ALTER DATABASE :"database" OWNER TO sms_owner;
REVOKE CONNECT, TEMPORARY ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO sms_writer, sms_reader;
SQL
