-- A month of believable traffic, made by the server: `bench.base(day, number)` is a day's messages, and `bench.fill_day`
-- stores them with their reports, submissions and replies. Ids are md5 of the day and the position: as scattered as UUIDs.
CREATE SCHEMA bench;

CREATE UNLOGGED TABLE bench.pool AS
    SELECT provider, status, reason, code,
           (row_number() OVER (PARTITION BY provider, status ORDER BY md5(code)) - 1)::int AS n,
           least(count(*) OVER (PARTITION BY provider, status), 60)::int AS size
    FROM sms_data.code WHERE code !~ '\*$' AND status IN ('undeliverable', 'expired', 'rejected');

SELECT setseed(0.42);

-- The same random day is taken for each day, with other ids.
CREATE UNLOGGED TABLE bench.template AS
WITH drawn AS (
    SELECT i, random() AS u1, random() AS u2, random() AS u3, random() AS u4, random() AS u5, random() AS u6
    FROM generate_series(1, {a_day}) AS i
), meant AS (
    SELECT i, 86390.0 * i / {a_day} AS second,
           CASE WHEN u1 < 0.45 THEN 'huawei' WHEN u1 < 0.75 THEN 'tencent' ELSE 'cloudsms' END AS provider,
           CASE WHEN u2 < 0.90 THEN 'delivered' WHEN u2 < 0.95 THEN 'undeliverable' WHEN u2 < 0.965 THEN 'expired'
                WHEN u2 < 0.978 THEN 'rejected' WHEN u2 < 0.98 THEN 'unknown' ELSE 'enroute' END AS status,
           CASE WHEN u3 < 0.60 THEN 'CN' WHEN u3 < 0.74 THEN 'HK' WHEN u3 < 0.84 THEN 'SG' WHEN u3 < 0.90 THEN 'US'
                WHEN u3 < 0.94 THEN 'AU'
                ELSE (ARRAY['JP','TH','MY','PH','ID','VN','IN','GB','DE','FR','BR','MX'])[1 + floor((u3 - 0.94) / 0.06 * 12)::int]
           END AS country,
           u4, u5, u6
    FROM drawn
)
SELECT m.i, m.second, m.provider, m.status, m.country, p.reason,
       coalesce(p.code, CASE WHEN m.status = 'delivered' THEN CASE m.provider WHEN 'cloudsms' THEN '2' ELSE 'DELIVRD' END
                             WHEN m.status = 'unknown' THEN 'ZZ:' || floor(u4 * 9) ELSE 'ENROUTE' END) AS code,
       CASE m.status WHEN 'delivered' THEN 5 WHEN 'expired' THEN 3 WHEN 'unknown' THEN 0 WHEN 'enroute' THEN 1 ELSE 4 END
           AS rank,
       u5 < 0.30 AS submitted,
       m.status = 'enroute' AND u5 < 0.30 AS silent,
       m.provider = 'cloudsms' AND u6 < 0.8 AS interim,
       CASE WHEN m.provider = 'huawei' AND u6 < 0.10 THEN 2 ELSE 1 END AS segments,
       -6 * ln(1 - u6 * 0.999999) + 2 AS took_s, 0.3 + 2 * u4 AS lag_s,
       u4 < 0.3 AS has_context, m.country = 'CN' AND m.provider = 'huawei' AS nameless,
       CASE m.country WHEN 'CN' THEN '+86131' WHEN 'HK' THEN '+8526' WHEN 'SG' THEN '+658' WHEN 'US' THEN '+1202'
                      ELSE '+4477' END AS prefix
FROM meant AS m
LEFT JOIN (SELECT provider, status, max(size) AS size FROM bench.pool GROUP BY 1, 2) AS s
       ON s.provider = m.provider AND s.status = m.status
LEFT JOIN bench.pool AS p ON p.provider = m.provider AND p.status = m.status AND p.n = floor(s.size * u4 * u4 * u4)::int
ORDER BY m.i;

ANALYZE bench.template;

CREATE FUNCTION bench.base(day date)
    RETURNS TABLE (t bench.template, h text, message_id text, recipient text, context text, sent timestamptz,
                   early timestamptz, happened timestamptz, received timestamptz)
    LANGUAGE sql STABLE
AS $$
    SELECT t, h, CASE t.provider WHEN 'huawei' THEN h::uuid::text || '_' || t.i WHEN 'cloudsms' THEN upper(substr(h, 1, 30))
                                 ELSE '5000:' || h END,
           t.prefix || right('0000000' || (('x' || substr(h, 25, 6))::bit(24)::int % 3000000)::text, 8),
           CASE WHEN t.has_context THEN CASE t.provider WHEN 'huawei' THEN '{"extend":"order=' WHEN 'tencent' THEN '{"ext":"order='
                ELSE '{"CUSTOMER_BODY":{"reference":"order=' END || t.i || CASE t.provider WHEN 'cloudsms' THEN '"}}' ELSE '"}' END END,
           date_trunc('second', at), at + t.lag_s * interval '1 second',
           date_trunc('second', at + t.took_s * interval '1 second'),
           at + (t.took_s + t.lag_s) * interval '1 second'
    FROM bench.template AS t,
         LATERAL (SELECT md5(day || ':' || t.i) AS h, day::timestamp AT TIME ZONE 'UTC' + t.second * interval '1 second' AS at
                  OFFSET 0) AS x
    WHERE at < now() - interval '1 minute'
$$;

CREATE PROCEDURE bench.fill_day(day date)
    LANGUAGE plpgsql
AS $$
DECLARE
    name text := to_char(day, 'YYYYMMDD');
    span text := format('FROM (%L) TO (%L)', day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
BEGIN
    CREATE TEMP TABLE base ON COMMIT DROP AS SELECT (t).*, h, message_id, recipient, context, sent, early, happened, received
        FROM bench.base(day);
    INSERT INTO sms_data.message (
        first_received_at, happened_at, report_id, segments, segments_reported, part, message_id, provider, recipient_key,
        status, code, recipient, country, sender, reason, context, last_received_at, submitted_at, awaited_since, parts, seen,
        seen_before)
    SELECT CASE WHEN submitted OR interim THEN early ELSE received END, CASE WHEN silent THEN sent ELSE happened END,
           CASE WHEN lone THEN md5(h || '1')::uuid END, segments, CASE WHEN silent THEN 0 ELSE segments END,
           CASE WHEN lone THEN CASE WHEN silent THEN -1 WHEN provider = 'huawei' THEN 1 ELSE 0 END END,
           message_id, provider, CASE provider WHEN 'cloudsms' THEN recipient ELSE '' END, status, code,
           CASE WHEN submitted OR NOT nameless THEN recipient END, CASE WHEN submitted OR NOT nameless THEN country END,
           CASE WHEN submitted THEN '1069031221280012' END, reason, context, CASE WHEN NOT lone THEN received END,
           CASE WHEN submitted THEN sent END, CASE WHEN submitted AND rank < 3 THEN sent END,
           CASE WHEN NOT lone THEN (
               SELECT jsonb_object_agg(k::text, jsonb_build_array(rank, to_char(happened, 'YYYY-MM-DD"T"HH24:MI:SS+00:00'), code, status,
                                                                  coalesce(reason, '')))
               FROM generate_series(CASE provider WHEN 'huawei' THEN 1 ELSE 0 END,
                                    CASE provider WHEN 'huawei' THEN segments ELSE 0 END) AS k)
               || CASE WHEN submitted THEN jsonb_build_object('-1', jsonb_build_array(1, '', '000000', 'enroute', '')) ELSE '{}' END END,
           CASE WHEN NOT lone THEN ARRAY(SELECT md5(h || k)::uuid FROM generate_series(CASE WHEN interim THEN 0 ELSE 1 END, segments) AS k)
               || CASE WHEN submitted THEN ARRAY[md5(h || 's')::uuid] ELSE '{}' END END,
           CASE WHEN NOT lone THEN 1 END
    FROM (SELECT *, silent OR NOT (submitted OR interim OR segments > 1) AS lone FROM base) AS b;

    EXECUTE format('CREATE TABLE sms_data.report_%s (LIKE sms_data.report INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
    EXECUTE format($i$
        INSERT INTO sms_data.report_%s (
            report_id, message_id, provider, recipient, country, segment, segments, status, reason, code, context,
            happened_at, received_at, remote_addr, raw)
        SELECT md5(h || k)::uuid, message_id, provider, CASE WHEN NOT nameless THEN recipient END,
               CASE WHEN NOT nameless THEN country END, CASE WHEN provider = 'huawei' THEN k END,
               CASE WHEN provider = 'huawei' THEN b.segments END, CASE WHEN k = 0 THEN 'accepted' ELSE status END,
               CASE WHEN k > 0 THEN reason END, CASE WHEN k = 0 THEN '1' ELSE code END, context,
               CASE WHEN k = 0 THEN sent ELSE happened END, CASE WHEN k = 0 THEN early ELSE received END, '10.20.30.40',
               format('{"total":"%%s","source":"2","status":"%%s","sequence":"%%s","smsMsgId":"%%s","updateTime":"%%s","orgCode":"000"}',
                      b.segments, code, k, message_id, happened)
        FROM base AS b, generate_series(CASE WHEN interim THEN 0 ELSE 1 END, b.segments) AS k
        WHERE NOT silent AND (received AT TIME ZONE 'UTC')::date = %L
        ORDER BY i$i$, name, day);
    EXECUTE format('ALTER TABLE sms_data.report ATTACH PARTITION sms_data.report_%s FOR VALUES %s', name, span);

    EXECUTE format('CREATE TABLE sms_data.submission_%s (LIKE sms_data.submission INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                   name);
    EXECUTE format($i$
        INSERT INTO sms_data.submission_%s (
            submission_id, message_id, provider, recipient, country, sender, segments, fee, status, code, correlation,
            submitted_at, received_at, remote_addr, raw)
        SELECT md5(h || 's')::uuid, message_id, provider, recipient, country, '1069031221280012', segments, segments, 'enroute',
               '000000', format('order-%%s-%%s', %L, i), sent, early, '127.0.0.1',
               jsonb_build_object('total', segments, 'status', '000000', 'originTo', recipient, 'smsMsgId', message_id)
        FROM base WHERE submitted AND (early AT TIME ZONE 'UTC')::date = %L$i$, name, day, day);
    EXECUTE format('ALTER TABLE sms_data.submission ATTACH PARTITION sms_data.submission_%s FOR VALUES %s', name, span);

    EXECUTE format('CREATE TABLE sms_data.reply_%s (LIKE sms_data.reply INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
    EXECUTE format($i$
        INSERT INTO sms_data.reply_%s (
            reply_id, provider, message_id, sender, recipient, body, sent_at, received_at, remote_addr, raw)
        SELECT md5(h || 'r')::uuid, provider, h, recipient, '106900000001',
               CASE i %% 10 WHEN 0 THEN 'TD' WHEN 1 THEN 'STOP' ELSE 'Thank you, order ' || i END, happened, received, '127.0.0.1', '{}'
        FROM base WHERE i %% 200 = 7 AND (received AT TIME ZONE 'UTC')::date = %L$i$, name, day);
    EXECUTE format('ALTER TABLE sms_data.reply ATTACH PARTITION sms_data.reply_%s FOR VALUES %s', name, span);

    INSERT INTO sms_data.rejected_payload (rejected_id, provider, path, received_at, error, content_type, body, remote_addr)
    SELECT gen_random_uuid(), provider, '/callback/' || provider || '/report', received, 'not JSON: expecting value',
           'application/json', convert_to(repeat(h, 20), 'UTF8'), '10.0.0.1'
    FROM base WHERE i % 1000 = 7;
END
$$;
