-- The one statement that changes messages: it inserts those that are new, merges the others as 0001/merge.sql does, and
-- returns what was written, with the values that are counted, before and after.

-- Citus lets none but immutable functions change a row. The times of a part name their offset, so that these two depend on
-- no setting.
ALTER FUNCTION sms_data.only_part(smallint, text, text, text, timestamptz, smallint) IMMUTABLE;
ALTER FUNCTION sms_data.message_state(jsonb, integer) IMMUTABLE;

DO $$
BEGIN
    IF to_regtype('sms_data.written_message') IS NULL THEN
        CREATE TYPE sms_data.state_of_message AS (
            status            text COLLATE "C",
            reason            text COLLATE "C",
            code              text COLLATE "C",
            happened_at       timestamptz,
            sequence          smallint,
            segments          smallint,
            segments_reported smallint,
            part              smallint,
            parts             jsonb,
            submitted_at      timestamptz
        );
        -- `ids`: of the reports and submissions that are new.
        CREATE TYPE sms_data.written_message AS (
            provider text COLLATE "C",
            ids      uuid[],
            now      sms_data.counted_message,
            was      sms_data.counted_message
        );
    END IF;
END
$$;

-- In PL/pgSQL, as the next one: a session keeps its plan. Each shard plans the statement below anew.
CREATE OR REPLACE FUNCTION sms_data.counted(
    first_received_at timestamptz, last_received_at timestamptz, submitted_at timestamptz, awaited_since timestamptz,
    happened_at timestamptz, country text, status text, reason text, code text, part smallint, parts jsonb, seen uuid[],
    segments smallint
) RETURNS sms_data.counted_message
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
    RETURN ROW (
        sms_data.utc_hour(first_received_at), sms_data.utc_hour(coalesce(submitted_at, first_received_at)),
        coalesce(country, ''), status, coalesce(reason, ''), coalesce(code, ''),
        sms_data.is_accepted(parts, part, status), sms_data.is_reported(parts, part),
        sms_data.report_count(parts, part, seen), segments,
        CASE WHEN status = 'delivered' AND happened_at IS NOT NULL AND submitted_at IS NOT NULL
             THEN sms_data.time_bucket(extract(epoch FROM happened_at - submitted_at)) END,
        CASE WHEN submitted_at IS NOT NULL AND awaited_since IS NULL AND sms_data.is_reported(parts, part)
             THEN sms_data.time_bucket(extract(epoch FROM coalesce(last_received_at, first_received_at) - submitted_at)) END
    )::sms_data.counted_message;
END
$$;

-- The state of a message with the rows a, together with the rows b.
CREATE OR REPLACE FUNCTION sms_data.merged(
    a sms_data.state_of_message,
    b sms_data.state_of_message,
    OUT status text, OUT reason text, OUT code text, OUT happened_at timestamptz, OUT sequence smallint,
    OUT segments smallint, OUT segments_reported smallint, OUT awaited_since timestamptz, OUT part smallint, OUT parts jsonb
)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    same_part CONSTANT boolean := coalesce(a.part = b.part, false);
    alike     CONSTANT boolean := (a.segments = 1 AND b.segments = 1) OR (same_part AND a.part <= 0);
    greater   sms_data.state_of_message := a;
BEGIN
    IF NOT (alike AND same_part) THEN
        parts := sms_data.merge_parts(
            coalesce(a.parts, sms_data.only_part(a.part, a.status, a.reason, a.code, a.happened_at, a.sequence)),
            coalesce(b.parts, sms_data.only_part(b.part, b.status, b.reason, b.code, b.happened_at, b.sequence)));
    END IF;
    IF alike THEN  -- of one segment, or about the same part: the greater state is the state
        IF (sms_data.rank(b.status), coalesce(b.happened_at, '-infinity'), coalesce(b.sequence, 0), b.code, b.status,
            coalesce(b.reason, ''))
           > (sms_data.rank(a.status), coalesce(a.happened_at, '-infinity'), coalesce(a.sequence, 0), a.code, a.status,
              coalesce(a.reason, '')) THEN
            greater := b;
        END IF;
        status := greater.status;
        reason := greater.reason;
        code := greater.code;
        happened_at := greater.happened_at;
        sequence := greater.sequence;
        segments := greatest(a.segments, b.segments);
        segments_reported := greatest(a.segments_reported, b.segments_reported);
        part := CASE WHEN same_part THEN a.part END;
    ELSE
        SELECT s.status, s.reason, s.code, s.happened_at, s.segments, s.segments_reported
        INTO status, reason, code, happened_at, segments, segments_reported
        FROM sms_data.message_state(parts, greatest(a.segments, b.segments)) AS s;
    END IF;
    IF status IN ('unknown', 'enroute', 'accepted') THEN
        awaited_since := least(a.submitted_at, b.submitted_at);
    END IF;
END
$$;

-- A call of the function that wrote until now may wait for the table's lock while that is distributed, and would go on then:
-- with no trigger, what it writes would be counted nowhere. It names no `seen_before`, so it is ended, to be tried again.
CREATE OR REPLACE FUNCTION sms_data.not_as_before() RETURNS smallint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'the tables were distributed meanwhile' USING ERRCODE = 'serialization_failure';
END
$$;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute
                   WHERE attrelid = 'sms_data.message'::regclass AND attname = 'seen_before' AND atthasdef) THEN
        ALTER TABLE sms_data.message ALTER COLUMN seen_before SET DEFAULT sms_data.not_as_before();
    END IF;
END
$$;

-- Citus hands a parameter to the shards with the rows alone: the limit is in `seen_before`, with a minus, of each row that
-- is inserted. So a row that has never been merged has a negative one.
CREATE OR REPLACE FUNCTION sms_data.write_messages(messages sms_data.incoming_message[], most_reports integer)
    RETURNS SETOF sms_data.written_message
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
        INSERT INTO sms_data.message AS m (
            first_received_at, happened_at, report_id, segments, segments_reported, part, sequence, message_id,
            provider, recipient_key, status, code, recipient, country, sender, reason, context, envelope_id,
            last_received_at, submitted_at, awaited_since, parts, seen, seen_before)
        SELECT n.first_received_at, n.happened_at, n.report_id, n.segments, n.segments_reported, n.part, n.sequence,
               n.message_id, n.provider, n.recipient_key, n.status, n.code, n.recipient, n.country, n.sender, n.reason,
               n.context, n.envelope_id, n.last_received_at, n.submitted_at,
               CASE WHEN n.status IN ('unknown', 'enroute', 'accepted') THEN n.submitted_at END, n.parts, n.seen,
               -most_reports
        FROM unnest(messages) AS n
        ON CONFLICT (message_id, provider, recipient_key) DO UPDATE SET
            (status, reason, code, happened_at, sequence, segments, segments_reported, awaited_since, part, parts) = (
                SELECT x.status, x.reason, x.code, x.happened_at, x.sequence, x.segments, x.segments_reported,
                       x.awaited_since, x.part, x.parts
                FROM sms_data.merged(
                    ROW (m.status, m.reason, m.code, m.happened_at, m.sequence, m.segments, m.segments_reported,
                         m.part, m.parts, m.submitted_at)::sms_data.state_of_message,
                    ROW (excluded.status, excluded.reason, excluded.code, excluded.happened_at, excluded.sequence,
                         excluded.segments, excluded.segments_reported, excluded.part, excluded.parts,
                         excluded.submitted_at)::sms_data.state_of_message) AS x),
            recipient = greatest(m.recipient, excluded.recipient),
            country = greatest(m.country, excluded.country),
            sender = greatest(m.sender, excluded.sender),
            context = greatest(m.context, excluded.context),
            envelope_id = greatest(m.envelope_id, excluded.envelope_id),
            submitted_at = least(m.submitted_at, excluded.submitted_at),
            first_received_at = least(m.first_received_at, excluded.first_received_at),
            last_received_at = greatest(m.first_received_at, m.last_received_at,
                                        excluded.first_received_at, excluded.last_received_at),
            seen_before = coalesce(cardinality(m.seen), 1),
            seen = CASE WHEN excluded.seen IS NULL
                        THEN coalesce(m.seen, ARRAY[m.report_id]) || excluded.report_id
                        ELSE coalesce(m.seen, ARRAY[m.report_id])
                             || sms_data.unseen(coalesce(m.seen, ARRAY[m.report_id]), excluded.seen) END,
            report_id = NULL,
            was = sms_data.counted(m.first_received_at, m.last_received_at, m.submitted_at, m.awaited_since, m.happened_at,
                                   m.country, m.status, m.reason, m.code, m.part, m.parts, m.seen, m.segments)
        WHERE NOT coalesce(excluded.seen, ARRAY[excluded.report_id]) <@ coalesce(m.seen, ARRAY[m.report_id])
              AND coalesce(cardinality(m.seen), 1) < -excluded.seen_before
        RETURNING m.provider,
                  CASE WHEN m.seen_before < 0 THEN coalesce(m.seen, ARRAY[m.report_id])
                       ELSE m.seen[m.seen_before + 1:] END,
                  sms_data.counted(m.first_received_at, m.last_received_at, m.submitted_at, m.awaited_since, m.happened_at,
                                   m.country, m.status, m.reason, m.code, m.part, m.parts, m.seen, m.segments),
                  m.was;
END
$$;
