-- After the first `receiver migrate`, by the migrator, where there are millions of messages a day:
--
--     psql -f tables.sql "postgresql://sms_migrate@db.example/sms"
--
-- Reports are only added, in daily partitions: the server's own settings suit them. States of messages change as long as
-- reports come, and autovacuum's default, a fifth of the table, is much too late for a large one.

ALTER TABLE sms_data.message SET (
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0
);
ALTER TABLE sms_data.reply_key SET (autovacuum_vacuum_scale_factor = 0.02);
