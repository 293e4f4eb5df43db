-- Each platform's reporting window in hours, and the recent 99th percentile of its lag in seconds.
CREATE TABLE sms_data.reporting_window (
    provider text    COLLATE "C" PRIMARY KEY,
    hours    integer NOT NULL CHECK (hours > 0)
);

CREATE TABLE sms_data.reporting_lag (
    provider    text             COLLATE "C" NOT NULL,
    country     text             COLLATE "C" NOT NULL,
    p99_s       double precision NOT NULL,
    messages    bigint           NOT NULL,
    computed_at timestamptz      NOT NULL,
    PRIMARY KEY (provider, country)
);

CREATE VIEW sms.overdue_message AS
    SELECT message.provider AS provider,
           message.message_id AS message_id,
           message.recipient AS recipient,
           message.country AS country,
           message.sender AS sender,
           message.status AS status,
           -- As submitted_at, and in the index.
           message.awaited_since AS submitted_at,
           extract(epoch FROM now() - message.awaited_since)::double precision AS waiting_s,
           least(reporting_lag.p99_s, reporting_window.hours * 3600.0) AS expected_s,
           CASE WHEN message.awaited_since < now() - make_interval(hours => reporting_window.hours)
                THEN 'window' ELSE 'lag' END AS rule
    FROM sms_data.message
    JOIN sms_data.reporting_window USING (provider)
    LEFT JOIN sms_data.reporting_lag
           ON reporting_lag.provider = message.provider AND reporting_lag.country = coalesce(message.country, '')
    WHERE message.awaited_since IS NOT NULL
      AND message.awaited_since
          < now() - make_interval(secs => least(reporting_lag.p99_s, reporting_window.hours * 3600.0));

COMMENT ON VIEW sms.overdue_message IS
    'Messages that a platform took and has not told the end of, although it should have by now.';
COMMENT ON COLUMN sms.overdue_message.provider IS
    'Short name of the platform.';
COMMENT ON COLUMN sms.overdue_message.message_id IS
    'The platform''s id of the message, verbatim.';
COMMENT ON COLUMN sms.overdue_message.recipient IS
    'The subscriber the message was sent to, in E.164 with +; null where unknown.';
COMMENT ON COLUMN sms.overdue_message.country IS
    'Country of the recipient''s number, ISO 3166 alpha-2; null where unknown.';
COMMENT ON COLUMN sms.overdue_message.sender IS
    'Sender id or number of the message, where the platform repeats it.';
COMMENT ON COLUMN sms.overdue_message.status IS
    'The state that the message is known to be in; not a final one.';
COMMENT ON COLUMN sms.overdue_message.submitted_at IS
    'When the message was handed to the platform.';
COMMENT ON COLUMN sms.overdue_message.waiting_s IS
    'Seconds since then.';
COMMENT ON COLUMN sms.overdue_message.expected_s IS
    'Seconds within which the end should have been told.';
COMMENT ON COLUMN sms.overdue_message.rule IS
    'window: the platform''s reporting window is over, no report will come. lag: 99 of 100 messages of this platform to this country were faster of late.';
