-- Tables live in sms_data and may change; the contract is the views in sms (views.sql).
-- Texts that are compared byte by byte, as in Python, have the collation "C".

CREATE SCHEMA IF NOT EXISTS sms_data;
CREATE SCHEMA IF NOT EXISTS sms;

-- One row per message: its state, and the ids of its reports against duplicates, found by one look-up.
-- The message id leads the key, so that the table can be distributed by it. Columns of a fixed width come first: they
-- need no padding there, and reading them passes no text.
CREATE TABLE sms_data.message (
    first_received_at timestamptz NOT NULL,
    happened_at       timestamptz,
    -- The only report or submission; null once `seen` lists several.
    report_id         uuid,
    segments          smallint    NOT NULL,
    segments_reported smallint    NOT NULL,
    -- What the only report or submission is about, a key as in `parts`; null once `parts` is needed.
    part              smallint,
    -- Position of the code in the platform's own order of states; null for 0, and once `parts` has it alone.
    sequence          smallint,
    message_id        text        COLLATE "C" NOT NULL,
    provider          text        COLLATE "C" NOT NULL,
    recipient_key     text        COLLATE "C" NOT NULL,
    status            text        COLLATE "C" NOT NULL,
    code              text        COLLATE "C" NOT NULL,
    recipient         text        COLLATE "C",
    country           text        COLLATE "C",
    sender            text        COLLATE "C",
    reason            text        COLLATE "C",
    context           text        COLLATE "C",
    -- Null: as first_received_at.
    last_received_at  timestamptz,
    submitted_at      timestamptz,
    -- A submitted message is awaited until its state is final. Null for every other message, so that the index holds the
    -- awaited ones alone, and reports about messages without a submission never touch it.
    awaited_since     timestamptz,
    envelope_id       uuid,
    -- The greatest report by segment number: [rank, happened_at, code, status, reason] (state.sql). Null: it is one
    -- report, and the row has its fields.
    parts             jsonb,
    -- The ids of all reports and submissions in this state; the first `seen_before` were there before the last write.
    seen              uuid[],
    seen_before       smallint,
    PRIMARY KEY (message_id, provider, recipient_key)
) WITH (fillfactor = 80);

-- Finds the last hours, the last messages and the oldest. A block range index costs less, and the planner takes it for
-- nearly as expensive as the whole table.
CREATE INDEX message_first_received_at ON sms_data.message (first_received_at);
CREATE INDEX message_awaited_since ON sms_data.message (awaited_since) INCLUDE (provider, country)
    WHERE awaited_since IS NOT NULL;

-- A report or a submission is unique by its message's row (`seen`), in the same transaction, so a primary key is not
-- needed: with message ids as random as UUIDs, each new row would change another page of it. A hash index finds the
-- reports of a message as well, in a third of the space.
CREATE TABLE sms_data.report (
    received_at   timestamptz NOT NULL,
    happened_at   timestamptz,
    report_id     uuid        NOT NULL,
    segment       smallint,
    segments      smallint,
    message_id    text        COLLATE "C" NOT NULL,
    provider      text        COLLATE "C" NOT NULL,
    status        text        COLLATE "C" NOT NULL,
    code          text        COLLATE "C" NOT NULL,
    -- JSON texts that jsonb accepts: the views show them as such, and to parse them is the reader's work.
    raw           text        COLLATE "C" NOT NULL,
    remote_addr   inet,
    recipient     text        COLLATE "C",
    country       text        COLLATE "C",
    sender        text        COLLATE "C",
    reason        text        COLLATE "C",
    detail        text,
    operator_code text        COLLATE "C",
    reported_by   text        COLLATE "C",
    context       text        COLLATE "C",
    envelope_id   uuid
) PARTITION BY RANGE (received_at);

CREATE INDEX report_message_id ON sms_data.report USING hash (message_id);
CREATE INDEX report_received_at ON sms_data.report (received_at);
-- A subscriber's messages are found by the reports of a day: in one index of all messages, each new row would change
-- another page.
CREATE INDEX report_recipient ON sms_data.report (recipient) WHERE recipient IS NOT NULL;

-- The shared fields of one packet's results (a sender's CUSTOMER_BODY over a thousand recipients) are stored once and
-- referenced by the rows of its reports and messages. Small ones are copied into each row, as before.
CREATE TABLE sms_data.envelope (
    message_id  text        COLLATE "C" NOT NULL,
    provider    text        COLLATE "C" NOT NULL,
    envelope_id uuid        NOT NULL,
    received_at timestamptz NOT NULL,
    context     jsonb,
    raw         jsonb       NOT NULL,
    PRIMARY KEY (message_id, provider, envelope_id)
);

CREATE INDEX envelope_received_at ON sms_data.envelope USING brin (received_at) WITH (pages_per_range = 32);

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
    raw           jsonb       NOT NULL
) PARTITION BY RANGE (received_at);

CREATE INDEX submission_message_id ON sms_data.submission USING hash (message_id);
CREATE INDEX submission_received_at ON sms_data.submission USING brin (received_at) WITH (pages_per_range = 32);
CREATE INDEX submission_recipient ON sms_data.submission (recipient) WHERE recipient IS NOT NULL;
CREATE INDEX submission_correlation ON sms_data.submission (correlation) WHERE correlation IS NOT NULL;

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
CREATE INDEX reply_received_at ON sms_data.reply (received_at);

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
