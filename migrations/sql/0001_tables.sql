-- Tables live in sms_data and may change; the contract is the views in sms (0001_views.sql).
-- Texts that are compared byte by byte, as in Python, have the collation "C".

CREATE SCHEMA IF NOT EXISTS sms_data;
CREATE SCHEMA IF NOT EXISTS sms;

-- One row per message: its state, and the ids of its reports against duplicates, found by one look-up.
-- The message id leads the key, so that the table can be distributed by it.
CREATE TABLE sms_data.message (
    message_id        text        COLLATE "C" NOT NULL,
    provider          text        COLLATE "C" NOT NULL,
    recipient_key     text        COLLATE "C" NOT NULL,
    recipient         text        COLLATE "C",
    country           text        COLLATE "C",
    sender            text        COLLATE "C",
    status            text        COLLATE "C" NOT NULL,
    reason            text        COLLATE "C",
    code              text        COLLATE "C",
    happened_at       timestamptz,
    segments          smallint    NOT NULL,
    segments_reported smallint    NOT NULL,
    context           text        COLLATE "C",
    first_received_at timestamptz NOT NULL,
    last_received_at  timestamptz NOT NULL,
    -- The greatest report by segment number ("0": reports without one): [rank, happened_at, code, status, reason].
    parts             jsonb       NOT NULL,
    -- The ids of all reports in this state; the first `seen_before` were there before the last write.
    seen              uuid[]      NOT NULL,
    seen_before       integer     NOT NULL DEFAULT 0,
    PRIMARY KEY (message_id, provider, recipient_key)
) WITH (fillfactor = 90);

-- Rows arrive in order of time, so a block range index suffices to find the last hours, and costs next to nothing.
CREATE INDEX message_first_received_at ON sms_data.message USING brin (first_received_at) WITH (pages_per_range = 32);

CREATE TABLE sms_data.report (
    report_id     uuid        NOT NULL,
    message_id    text        COLLATE "C" NOT NULL,
    provider      text        COLLATE "C" NOT NULL,
    recipient     text        COLLATE "C",
    country       text        COLLATE "C",
    sender        text        COLLATE "C",
    segment       smallint,
    segments      smallint,
    status        text        COLLATE "C" NOT NULL,
    reason        text        COLLATE "C",
    code          text        COLLATE "C" NOT NULL,
    detail        text,
    operator_code text        COLLATE "C",
    reported_by   text        COLLATE "C",
    context       jsonb,
    happened_at   timestamptz,
    received_at   timestamptz NOT NULL,
    remote_addr   inet,
    raw           jsonb       NOT NULL,
    PRIMARY KEY (message_id, received_at, report_id)
) PARTITION BY RANGE (received_at);

CREATE INDEX report_received_at ON sms_data.report USING brin (received_at) WITH (pages_per_range = 32);

-- Unique ids of replies, across the partitions of sms_data.reply.
CREATE TABLE sms_data.reply_key (
    reply_id    uuid        PRIMARY KEY,
    received_at timestamptz NOT NULL
);

CREATE TABLE sms_data.reply (
    reply_id    uuid        NOT NULL,
    provider    text        COLLATE "C" NOT NULL,
    message_id  text        COLLATE "C",
    sender      text        COLLATE "C",
    recipient   text        COLLATE "C",
    body        text        NOT NULL,
    sign        text,
    extend      text,
    sent_at     timestamptz,
    received_at timestamptz NOT NULL,
    remote_addr inet,
    raw         jsonb       NOT NULL,
    PRIMARY KEY (reply_id, received_at)
) PARTITION BY RANGE (received_at);

CREATE INDEX reply_sender ON sms_data.reply (sender, received_at);

CREATE TABLE sms_data.rejected_payload (
    rejected_id  uuid        NOT NULL,
    provider     text        COLLATE "C" NOT NULL,
    path         text        NOT NULL,
    received_at  timestamptz NOT NULL,
    error        text        NOT NULL,
    content_type text,
    body         bytea       NOT NULL,
    remote_addr  inet,
    replayed_at  timestamptz,
    PRIMARY KEY (rejected_id, received_at)
) PARTITION BY RANGE (received_at);

CREATE INDEX rejected_payload_received_at ON sms_data.rejected_payload (received_at);

CREATE TABLE sms_data.code (
    provider text    COLLATE "C" NOT NULL,
    code     text    COLLATE "C" NOT NULL,
    status   text    COLLATE "C" NOT NULL,
    reason   text    COLLATE "C",
    final    boolean NOT NULL,
    meaning  text    NOT NULL,
    advice   text    NOT NULL,
    PRIMARY KEY (provider, code)
);

-- The version of the catalogue in sms_data.code.
CREATE TABLE sms_data.catalogue (
    single_row  boolean PRIMARY KEY DEFAULT true CHECK (single_row),
    fingerprint text    NOT NULL
);
