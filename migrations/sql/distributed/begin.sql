-- What the other scripts of this folder rely on. All of them run in the migrations' transaction, and can run again.

-- One connection to each node: what one statement of this transaction has made, the next one sees.
SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- The owner's functions reach the other nodes as the owner. Without a password it is let in where pg_hba.conf lets the
-- nodes in, and by no other way.
DO $$
BEGIN
    IF NOT (SELECT rolcanlogin FROM pg_roles WHERE rolname = 'sms_owner') THEN
        ALTER ROLE sms_owner LOGIN;
    END IF;
END
$$;
