"""The statements of the write path. The tables are described in migrations/sql."""

from typing import Final

MAX_REPORTS_A_MESSAGE: Final = 512
"""An honest platform sends fewer different reports about one message (99 segments, a few states each)."""

BEGIN: Final = """
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT set_config('synchronous_commit', 'on', true)
 WHERE current_setting('synchronous_commit') IN ('off', 'local');
SELECT set_config('statement_timeout', '{timeout_ms}', true), set_config('lock_timeout', '{timeout_ms}', true),
       set_config('idle_in_transaction_session_timeout', '{timeout_ms}', true);
"""
"""One round trip; the settings are local to the transaction, as a transaction pooler requires."""

NOT_UNCONFIRMED: Final = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_stat_activity
               WHERE wait_event = 'SyncRep' AND usename = session_user
                     AND query_start < clock_timestamp() - interval '{patience_ms} ms') THEN
        RAISE EXCEPTION 'commits wait for a synchronous standby (synchronous_standby_names), and none confirms them'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    NULL;  -- not everywhere does PUBLIC see who is there: no reason not to write
END $$;
"""
"""Raises where a commit of this login has waited for a standby for so long.

Nothing ends that wait but the standby: a session that is given up goes on waiting, with its connection. So each attempt
to write would take one more connection from PostgreSQL, until none is left for anybody. One round trip.
"""

REPLICATED: Final = """
DO $$
DECLARE
    committed CONSTANT pg_lsn := pg_current_wal_flush_lsn();
    gives_up  CONSTANT timestamptz := clock_timestamp() + interval '{patience_ms} ms';
    flushed   pg_lsn;
BEGIN
    IF {timeline} NOT IN (0, ('x' || left(pg_walfile_name(committed), 8))::bit(32)::bigint) THEN
        RAISE EXCEPTION 'another server answers than the one that has committed' USING ERRCODE = 'connection_failure';
    END IF;
    LOOP
        flushed := (SELECT max(flush_lsn) FROM pg_stat_get_wal_senders()
                    WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum'));
        EXIT WHEN flushed >= committed;
        IF NOT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') THEN
            RAISE EXCEPTION 'RECEIVER_REQUIRE_SYNC_REPLICA: run GRANT pg_read_all_stats TO sms_writer'
                USING ERRCODE = 'insufficient_privilege';
        ELSIF flushed IS NULL OR clock_timestamp() > gives_up THEN
            RAISE EXCEPTION 'RECEIVER_REQUIRE_SYNC_REPLICA: no synchronous standby has what is committed here'
                USING ERRCODE = 'object_not_in_prerequisite_state';
        END IF;
        PERFORM pg_sleep(0.001);
    END LOOP;
END $$
"""
"""Raises unless a synchronous standby has on its disk all that this server has. In a message after the commit.

The wait of a commit for a standby proves nothing by itself: it does not take place while synchronous_standby_names is
empty, which a failover manager makes it when it loses the standby, it ends as if all were well when that happens
meanwhile or somebody cancels it, and a changed setting reaches the server's processes one after the other. What the
standby says does: the position up to which it has flushed. `timeline` is that of the session, 0 if it is not known: a
pooler may have gone over to another server since the commit.
"""

NOT_OLDER: Final = """
DO $$
BEGIN
    IF ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint < {timeline} THEN
        RAISE EXCEPTION 'an old primary answers' USING ERRCODE = 'connection_failure';
    END IF;
END $$;
"""
"""Raises below the timeline of the session: a pooler may have gone back to an old primary. At the beginning of a
transaction."""

STANDBYS: Final = """
SELECT current_setting('synchronous_standby_names') <> '' AS waits,
       CASE WHEN pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
            THEN (SELECT count(*) FROM pg_stat_get_wal_senders()
                  WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum')) END AS standbys
"""
"""Whether a commit waits for a standby, and how many may confirm it; NULL for a login that may not see them."""

SESSION: Final = "SET default_transaction_isolation = 'read committed'; SET statement_timeout = {timeout_ms}"
"""For a statement that is a transaction of its own. The time-out ends it in PostgreSQL after we have stopped waiting.

At a higher level of isolation, writers of the same messages fail instead of waiting for each other.
"""

COMMIT: Final = "COMMIT"
ROLLBACK: Final = "ROLLBACK"

STORE_REPORTS: Final = """
SELECT translate(row_id::text, '-', '') AS row_id, known FROM sms_data.store_reports($1, $2, $3, $4, $5)
"""
"""Skips duplicates, updates the messages' states and inserts the reports; returns the rows that were not stored.

$1 to $3 the arrays of receiver.store.batch.Incoming, $4 MAX_REPORTS_A_MESSAGE, $5 lock time-out in ms. `known` is true
for a duplicate, false for a row above the limit.
"""

PROBE: Final = "SELECT sms_data.probe()"
"""A write, because a missing synchronous standby or a full disk shows only when a change is committed."""

INSERT_ENVELOPES: Final = "SELECT sms_data.store_envelopes($1, $2, $3, $4, $5, $6)"

INSERT_SUBMISSIONS: Final = f"SELECT sms_data.store_submissions({', '.join(f'${n}' for n in range(1, 19))})"

INSERT_REPLIES: Final = """
WITH new AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                         $8::text[], $9::timestamptz[], $10::timestamptz[], $11::inet[], $12::jsonb[])
             AS new (reply_id, provider, message_id, sender, recipient, body, sign, extend, sent_at, received_at,
                     remote_addr, raw)
),
fresh AS (
    INSERT INTO sms_data.reply_key (reply_id, received_at)
    SELECT reply_id, received_at FROM new
    ON CONFLICT DO NOTHING
    RETURNING reply_id
)
INSERT INTO sms_data.reply (reply_id, provider, message_id, sender, recipient, body, sign, extend, sent_at,
                            received_at, remote_addr, raw)
SELECT new.* FROM new JOIN fresh USING (reply_id)
RETURNING translate(reply_id::text, '-', '') AS reply_id
"""

INSERT_REJECTED: Final = """
INSERT INTO sms_data.rejected_payload (
    rejected_id, provider, path, received_at, error, content_type, body, remote_addr, correlation)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::bytea[],
                     $8::inet[], $9::text[])
ON CONFLICT DO NOTHING
"""

CREATE_PARTITIONS: Final = "SELECT sms_data.create_partitions($1)"

SET_LOCK_TIMEOUT: Final = "SELECT set_config('lock_timeout', $1, false)"

IS_OWNER: Final = """
SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'sms_data.report'::regclass
"""

OLD_PARTITIONS: Final = """
SELECT known.name AS parent, child.relname AS name, link.inhrelid IS NOT NULL AS attached,
       coalesce(link.inhdetachpending, false) AS detaching
FROM sms_data.partitioned_table AS known
JOIN pg_class AS child ON child.relnamespace = 'sms_data'::regnamespace AND child.relkind = 'r'
                      AND child.relname ~ ('^' || known.name || '_[0-9]{8}$')
LEFT JOIN pg_inherits AS link ON link.inhrelid = child.oid
WHERE right(child.relname, 8) COLLATE "C" < to_char($1::date, 'YYYYMMDD')
ORDER BY detaching DESC, child.relname
"""
"""Pending detachments first: a parent can have one, which blocks every other until it is finalized.

Days are compared as texts: the planner may cast any table's name to a date before it filters for ours.
"""

COMPLETE_DAYS: Final = """
SELECT day FROM sms_data.partition
GROUP BY day HAVING count(*) = (SELECT count(*) FROM sms_data.partitioned_table)
"""
