-- What the service hands over: arrays of these, in PostgreSQL's binary format (receiver/store/batch.py fills them).

CREATE TYPE sms_data.incoming_report AS (
    report_id     uuid,
    message_id    text COLLATE "C",
    provider      text COLLATE "C",
    recipient_key text COLLATE "C",
    status        text COLLATE "C",
    reason        text COLLATE "C",
    code          text COLLATE "C",
    happened_at   timestamptz,
    sequence      smallint,
    segment       smallint,
    segments      smallint,
    recipient     text COLLATE "C",
    country       text COLLATE "C",
    sender        text COLLATE "C",
    detail        text,
    operator_code text COLLATE "C",
    reported_by   text COLLATE "C",
    context       text COLLATE "C",
    envelope_id   uuid,
    received_at   timestamptz,
    remote_addr   text,
    raw           text
);

-- A message of several rows or of a submission. Its columns are those of sms_data.message.
CREATE TYPE sms_data.incoming_message AS (
    message_id        text COLLATE "C",
    provider          text COLLATE "C",
    recipient_key     text COLLATE "C",
    status            text COLLATE "C",
    reason            text COLLATE "C",
    code              text COLLATE "C",
    happened_at       timestamptz,
    sequence          smallint,
    segments          smallint,
    segments_reported smallint,
    recipient         text COLLATE "C",
    country           text COLLATE "C",
    sender            text COLLATE "C",
    context           text COLLATE "C",
    envelope_id       uuid,
    first_received_at timestamptz,
    last_received_at  timestamptz,
    submitted_at      timestamptz,
    part              smallint,
    parts             jsonb,
    report_id         uuid,
    seen              uuid[]
);
