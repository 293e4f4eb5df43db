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

ALTER TABLE sms_data.message ADD COLUMN envelope_id uuid;
ALTER TABLE sms_data.report ADD COLUMN envelope_id uuid;

GRANT SELECT, INSERT ON sms_data.envelope TO sms_writer;

-- Only a commit shows that commits are possible: a probe changes this row.
CREATE TABLE sms_data.probe (
    single_row boolean     PRIMARY KEY DEFAULT true CHECK (single_row),
    probed_at  timestamptz NOT NULL
);

INSERT INTO sms_data.probe (probed_at) VALUES (now());

GRANT SELECT, UPDATE ON sms_data.probe TO sms_writer;
