-- The platform's answers to submissions, posted by the sending application. A message exists from its submission on.

CREATE TABLE sms_data.submission (
    submission_id uuid        NOT NULL,
    message_id    text        COLLATE "C" NOT NULL,
    provider      text        COLLATE "C" NOT NULL,
    recipient     text        COLLATE "C",
    country       text        COLLATE "C",
    sender        text        COLLATE "C",
    segments      smallint,
    fee           integer,
    status        text        COLLATE "C" NOT NULL,
    reason        text        COLLATE "C",
    code          text        COLLATE "C" NOT NULL,
    detail        text,
    correlation   text,
    context       jsonb,
    submitted_at  timestamptz NOT NULL,
    received_at   timestamptz NOT NULL,
    remote_addr   inet,
    raw           jsonb       NOT NULL,
    PRIMARY KEY (message_id, received_at, submission_id)
) PARTITION BY RANGE (received_at);

CREATE INDEX submission_received_at ON sms_data.submission USING brin (received_at) WITH (pages_per_range = 32);

INSERT INTO sms_data.partitioned_table VALUES ('submission');

-- A submitted message is awaited until its state is final. `awaited_since` is null for every other message, so the
-- index holds the awaited ones alone, and reports about messages without a submission never touch it.
ALTER TABLE sms_data.message
    ADD COLUMN submitted_at  timestamptz,
    ADD COLUMN awaited_since timestamptz;

CREATE INDEX message_awaited_since ON sms_data.message (awaited_since) WHERE awaited_since IS NOT NULL;

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

-- The class of failure of each reason, in the terms of the platforms' own statistics.
CREATE TABLE sms_data.failure_class (
    reason text COLLATE "C" PRIMARY KEY,
    class  text COLLATE "C" NOT NULL
        CHECK (class IN ('internal_error', 'invalid_number', 'shutdown', 'black_list', 'frequency_limit'))
);

INSERT INTO sms_data.failure_class (reason, class) VALUES
    ('invalid_number',       'invalid_number'),
    ('number_ported',        'invalid_number'),
    ('number_unavailable',   'shutdown'),
    ('suspended',            'shutdown'),
    ('unreachable',          'shutdown'),
    ('handset_error',        'shutdown'),
    ('expired',              'shutdown'),
    ('blocklisted',          'black_list'),
    ('blocked',              'black_list'),
    ('rate_limited',         'frequency_limit'),
    ('duplicate_recipient',  'frequency_limit'),
    ('content_rejected',     'internal_error'),
    ('not_permitted',        'internal_error'),
    ('insufficient_balance', 'internal_error'),
    ('carrier_error',        'internal_error'),
    ('platform_error',       'internal_error'),
    ('no_report',            'internal_error'),
    ('unknown',              'internal_error');
