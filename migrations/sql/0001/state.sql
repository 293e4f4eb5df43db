-- The rule of receiver/state.py, applied by the database to a message that already has reports.
-- A part is the JSON array [rank, happened_at or "", code, status, reason or ""], and the greater part wins. Its time may
-- be followed by the position of its code in the platform's own order of states: `2026-03-01T12:00:00+00:00#0002`, or
-- `#0002` without a time. "#" sorts before every digit and after the empty text.

CREATE FUNCTION sms_data.merge_parts(a jsonb, b jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT jsonb_object_agg(key, value)
    FROM (
        SELECT DISTINCT ON (key) key, value
        FROM (SELECT * FROM jsonb_each(a) UNION ALL SELECT * FROM jsonb_each(b)) AS part
        ORDER BY key,
                 (value ->> 0)::int DESC,
                 (value ->> 1) COLLATE "C" DESC,
                 (value ->> 2) COLLATE "C" DESC,
                 (value ->> 3) COLLATE "C" DESC,
                 (value ->> 4) COLLATE "C" DESC
    ) AS greatest_part
$$;

-- "0" is a report about the whole message, which applies to every segment; so does the platform's answer to the
-- submission, "-1", which is no report.
CREATE FUNCTION sms_data.message_state(
    parts jsonb,
    said_segments integer,
    OUT status text,
    OUT reason text,
    OUT code text,
    OUT happened_at timestamptz,
    OUT segments smallint,
    OUT segments_reported smallint
)
    LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    WITH total AS (
        SELECT least(greatest(said_segments, 1, max(key::int)), 255) AS n
        FROM jsonb_object_keys(parts) AS key
    ),
    known AS (
        SELECT number, (value ->> 0)::int AS rank, value ->> 1 AS at, value ->> 2 AS code,
               value ->> 3 AS status, value ->> 4 AS reason
        FROM total, generate_series(1, total.n) AS number,
             LATERAL (VALUES (parts -> number::text), (parts -> '0'), (parts -> '-1')) AS candidate (value)
        WHERE value IS NOT NULL
    ),
    segment AS (
        SELECT DISTINCT ON (number) *
        FROM known
        ORDER BY number, rank DESC, at COLLATE "C" DESC, code COLLATE "C" DESC,
                 status COLLATE "C" DESC, reason COLLATE "C" DESC
    ),
    verdict AS (
        SELECT bool_or(rank IN (3, 4)) AS failed,
               bool_and(rank = 5) AND count(*) = (SELECT n FROM total) AS delivered
        FROM segment
    ),
    -- Until every segment is delivered, a delivered one counts as under way.
    counted AS (
        SELECT CASE WHEN demoted THEN 1 ELSE rank END AS rank, at, code,
               CASE WHEN demoted THEN 'enroute' ELSE status END AS status, reason
        FROM (
            SELECT segment.*, rank = 5 AND NOT verdict.delivered AS demoted
            FROM segment, verdict
            WHERE NOT verdict.failed OR rank IN (3, 4)
        ) AS candidate
    ),
    reported AS (
        SELECT count(*) AS n
        FROM total, generate_series(1, total.n) AS number
        WHERE parts ? '0' OR parts ? number::text
    )
    SELECT counted.status, nullif(counted.reason, ''), counted.code, nullif(split_part(counted.at, '#', 1), '')::timestamptz,
           total.n::smallint, reported.n::smallint
    FROM counted, total, reported
    ORDER BY counted.rank DESC, counted.at COLLATE "C" DESC, counted.code COLLATE "C" DESC,
             counted.status COLLATE "C" DESC, counted.reason COLLATE "C" DESC
    LIMIT 1
$$;

-- The elements of b that are not in a, in their order.
CREATE FUNCTION sms_data.unseen(a uuid[], b uuid[]) RETURNS uuid[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT coalesce(array_agg(id ORDER BY position), '{}')
    FROM unnest(b) WITH ORDINALITY AS given (id, position)
    WHERE NOT id = ANY (a)
$$;

-- RANK of receiver/report.py.
CREATE FUNCTION sms_data.rank(status text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE status WHEN 'unknown' THEN 0 WHEN 'enroute' THEN 1 WHEN 'accepted' THEN 2 WHEN 'expired' THEN 3
                       WHEN 'delivered' THEN 5 ELSE 4 END
$$;

-- The parts of a message whose row has the fields of its only report. Times are written as Python's isoformat() does.
CREATE FUNCTION sms_data.only_part(
    part smallint, status text, reason text, code text, happened_at timestamptz, sequence smallint
) RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT jsonb_build_object(part::text, jsonb_build_array(
        sms_data.rank(status),
        CASE WHEN happened_at IS NULL THEN ''
             WHEN date_trunc('second', happened_at) = happened_at
             THEN to_char(happened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"')
             ELSE to_char(happened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') END
        || CASE WHEN sequence > 0 THEN to_char(sequence, '"#"FM0000') ELSE '' END,
        code, status, coalesce(reason, '')))
$$;
