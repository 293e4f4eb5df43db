-- The schema as the migrations leave it, to be read; `make schema` writes it. `receiver migrate` makes it.
-- Everything belongs to sms_owner. The partitions of a day are left out.

CREATE SCHEMA sms;
CREATE SCHEMA sms_data;

CREATE TYPE sms_data.incoming_message AS (
    message_id text,
    provider text,
    recipient_key text,
    status text,
    reason text,
    code text,
    happened_at timestamp with time zone,
    sequence smallint,
    segments smallint,
    segments_reported smallint,
    recipient text,
    country text,
    sender text,
    context text,
    envelope_id uuid,
    first_received_at timestamp with time zone,
    last_received_at timestamp with time zone,
    submitted_at timestamp with time zone,
    part smallint,
    parts jsonb,
    report_id uuid,
    seen uuid[]
);

CREATE TYPE sms_data.incoming_report AS (
    report_id uuid,
    message_id text,
    provider text,
    recipient_key text,
    status text,
    reason text,
    code text,
    happened_at timestamp with time zone,
    sequence smallint,
    segment smallint,
    segments smallint,
    recipient text,
    country text,
    sender text,
    detail text,
    operator_code text,
    reported_by text,
    context text,
    envelope_id uuid,
    received_at timestamp with time zone,
    remote_addr text,
    raw text
);

CREATE TABLE sms_data.catalogue (
    single_row boolean NOT NULL DEFAULT true,
    fingerprint text NOT NULL,
    CONSTRAINT catalogue_pkey PRIMARY KEY (single_row),
    CONSTRAINT catalogue_single_row_check CHECK (single_row)
);

CREATE TABLE sms_data.code (
    provider text COLLATE "C" NOT NULL,
    code text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    reason text COLLATE "C",
    final boolean NOT NULL,
    meaning text NOT NULL,
    advice text NOT NULL,
    CONSTRAINT code_pkey PRIMARY KEY (provider, code)
);

CREATE TABLE sms_data.code_day_count (
    day timestamp with time zone NOT NULL,
    provider text COLLATE "C" NOT NULL,
    country text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    code text COLLATE "C" NOT NULL,
    messages bigint NOT NULL,
    reports bigint NOT NULL,
    CONSTRAINT code_day_count_pkey PRIMARY KEY (day, provider, country, status, reason, code)
) WITH (fillfactor=80);

CREATE TABLE sms_data.counts_only (
    single_row boolean NOT NULL DEFAULT true,
    before timestamp with time zone NOT NULL DEFAULT '-infinity'::timestamp with time zone,
    CONSTRAINT counts_only_pkey PRIMARY KEY (single_row),
    CONSTRAINT counts_only_single_row_check CHECK (single_row)
);

CREATE TABLE sms_data.delivery_time_count (
    hour timestamp with time zone NOT NULL,
    provider text COLLATE "C" NOT NULL,
    country text COLLATE "C" NOT NULL,
    bucket smallint NOT NULL,
    messages bigint NOT NULL,
    CONSTRAINT delivery_time_count_pkey PRIMARY KEY (hour, provider, country, bucket)
);

CREATE TABLE sms_data.delivery_time_day_count (
    day timestamp with time zone NOT NULL,
    provider text COLLATE "C" NOT NULL,
    country text COLLATE "C" NOT NULL,
    bucket smallint NOT NULL,
    messages bigint NOT NULL,
    CONSTRAINT delivery_time_day_count_pkey PRIMARY KEY (day, provider, country, bucket)
) WITH (fillfactor=80);

CREATE TABLE sms_data.delivery_time_delta (
    hour timestamp with time zone NOT NULL,
    provider text COLLATE "C" NOT NULL,
    country text COLLATE "C" NOT NULL,
    bucket smallint NOT NULL,
    messages bigint NOT NULL
);

CREATE TABLE sms_data.envelope (
    message_id text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    envelope_id uuid NOT NULL,
    received_at timestamp with time zone NOT NULL,
    context jsonb,
    raw jsonb NOT NULL,
    CONSTRAINT envelope_pkey PRIMARY KEY (message_id, provider, envelope_id)
);

CREATE TABLE sms_data.failure_class (
    reason text COLLATE "C" NOT NULL,
    class text COLLATE "C" NOT NULL,
    CONSTRAINT failure_class_class_check CHECK ((class = ANY (ARRAY['internal_error'::text, 'invalid_number'::text, 'shutdown'::text, 'black_list'::text, 'frequency_limit'::text, 'other'::text]))),
    CONSTRAINT failure_class_pkey PRIMARY KEY (reason)
);

CREATE TABLE sms_data.message (
    first_received_at timestamp with time zone NOT NULL,
    happened_at timestamp with time zone,
    report_id uuid,
    segments smallint NOT NULL,
    segments_reported smallint NOT NULL,
    part smallint,
    sequence smallint,
    message_id text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    recipient_key text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    code text COLLATE "C" NOT NULL,
    recipient text COLLATE "C",
    country text COLLATE "C",
    sender text COLLATE "C",
    reason text COLLATE "C",
    context text COLLATE "C",
    last_received_at timestamp with time zone,
    submitted_at timestamp with time zone,
    awaited_since timestamp with time zone,
    envelope_id uuid,
    parts jsonb,
    seen uuid[],
    seen_before smallint,
    CONSTRAINT message_pkey PRIMARY KEY (message_id, provider, recipient_key)
) WITH (fillfactor=80);

CREATE TABLE sms_data.message_count (
    hour timestamp with time zone NOT NULL,
    submitted_hour timestamp with time zone NOT NULL,
    provider text COLLATE "C" NOT NULL,
    country text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    code text COLLATE "C" NOT NULL,
    accepted boolean NOT NULL,
    reported boolean NOT NULL,
    messages bigint NOT NULL,
    reports bigint NOT NULL,
    segments bigint NOT NULL,
    fees bigint NOT NULL DEFAULT 0,
    requests bigint NOT NULL DEFAULT 0,
    CONSTRAINT message_count_pkey PRIMARY KEY (hour, submitted_hour, provider, country, status, reason, code, accepted, reported)
);

CREATE TABLE sms_data.message_day_count (
    day timestamp with time zone NOT NULL,
    provider text COLLATE "C" NOT NULL,
    country text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    messages bigint NOT NULL,
    taken bigint NOT NULL,
    silent bigint NOT NULL,
    reports bigint NOT NULL,
    segments bigint NOT NULL,
    fees bigint NOT NULL,
    requests bigint NOT NULL,
    CONSTRAINT message_day_count_pkey PRIMARY KEY (day, provider, country, status, reason)
) WITH (fillfactor=80);

CREATE TABLE sms_data.message_delta (
    hour timestamp with time zone NOT NULL,
    submitted_hour timestamp with time zone NOT NULL,
    provider text COLLATE "C" NOT NULL,
    country text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    code text COLLATE "C" NOT NULL,
    accepted boolean NOT NULL,
    reported boolean NOT NULL,
    messages bigint NOT NULL,
    reports bigint NOT NULL,
    segments bigint NOT NULL,
    fees bigint NOT NULL DEFAULT 0,
    requests bigint NOT NULL DEFAULT 0,
    CONSTRAINT is_countable CHECK ((((((octet_length(provider) + octet_length(country)) + octet_length(status)) + octet_length(reason)) + octet_length(code)) <= 2000))
);

CREATE TABLE sms_data.partitioned_table (
    name text NOT NULL,
    CONSTRAINT partitioned_table_pkey PRIMARY KEY (name)
);

CREATE TABLE sms_data.probe (
    probed_at timestamp with time zone NOT NULL DEFAULT now()
);

CREATE TABLE sms_data.rejected_payload (
    rejected_id uuid NOT NULL,
    provider text COLLATE "C" NOT NULL,
    path text NOT NULL,
    received_at timestamp with time zone NOT NULL,
    error text NOT NULL,
    content_type text,
    body bytea NOT NULL,
    remote_addr inet,
    replayed_at timestamp with time zone,
    correlation text,
    slot smallint NOT NULL DEFAULT sms_data.rejected_slot(),
    CONSTRAINT rejected_payload_pkey PRIMARY KEY (rejected_id, received_at, slot)
) PARTITION BY LIST (slot);

CREATE TABLE sms_data.rejected_payload_slot_0 PARTITION OF sms_data.rejected_payload FOR VALUES IN ('0');

CREATE TABLE sms_data.rejected_payload_slot_1 PARTITION OF sms_data.rejected_payload FOR VALUES IN ('1');

CREATE TABLE sms_data.rejected_payload_slot_2 PARTITION OF sms_data.rejected_payload FOR VALUES IN ('2');

CREATE TABLE sms_data.rejected_payload_slot_3 PARTITION OF sms_data.rejected_payload FOR VALUES IN ('3');

CREATE TABLE sms_data.rejected_payload_slot_4 PARTITION OF sms_data.rejected_payload FOR VALUES IN ('4');

CREATE TABLE sms_data.rejected_payload_slot_5 PARTITION OF sms_data.rejected_payload FOR VALUES IN ('5');

CREATE TABLE sms_data.rejected_payload_slot_6 PARTITION OF sms_data.rejected_payload FOR VALUES IN ('6');

CREATE TABLE sms_data.rejected_payload_slot_7 PARTITION OF sms_data.rejected_payload FOR VALUES IN ('7');

CREATE TABLE sms_data.rejected_ring (
    single_row boolean NOT NULL DEFAULT true,
    slot smallint NOT NULL DEFAULT 0,
    CONSTRAINT rejected_ring_pkey PRIMARY KEY (single_row),
    CONSTRAINT rejected_ring_single_row_check CHECK (single_row),
    CONSTRAINT rejected_ring_slot_check CHECK (((slot >= 0) AND (slot <= 7)))
);

CREATE TABLE sms_data.reply (
    reply_id uuid NOT NULL,
    provider text COLLATE "C" NOT NULL,
    message_id text COLLATE "C",
    sender text COLLATE "C",
    recipient text COLLATE "C",
    body text NOT NULL,
    sign text,
    extend text,
    sent_at timestamp with time zone,
    received_at timestamp with time zone NOT NULL,
    remote_addr inet,
    raw jsonb NOT NULL,
    CONSTRAINT reply_pkey PRIMARY KEY (reply_id, received_at)
) PARTITION BY RANGE (received_at);

CREATE TABLE sms_data.reply_key (
    reply_id uuid NOT NULL,
    received_at timestamp with time zone NOT NULL,
    CONSTRAINT reply_key_pkey PRIMARY KEY (reply_id)
);

CREATE TABLE sms_data.report (
    received_at timestamp with time zone NOT NULL,
    happened_at timestamp with time zone,
    report_id uuid NOT NULL,
    segment smallint,
    segments smallint,
    message_id text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    code text COLLATE "C" NOT NULL,
    raw text COLLATE "C" NOT NULL,
    remote_addr inet,
    recipient text COLLATE "C",
    country text COLLATE "C",
    sender text COLLATE "C",
    reason text COLLATE "C",
    detail text,
    operator_code text COLLATE "C",
    reported_by text COLLATE "C",
    context text COLLATE "C",
    envelope_id uuid
) PARTITION BY RANGE (received_at);

CREATE TABLE sms_data.report_lag_count (
    hour timestamp with time zone NOT NULL,
    provider text COLLATE "C" NOT NULL,
    country text COLLATE "C" NOT NULL,
    bucket smallint NOT NULL,
    messages bigint NOT NULL,
    CONSTRAINT report_lag_count_pkey PRIMARY KEY (hour, provider, country, bucket)
);

CREATE TABLE sms_data.report_lag_delta (
    hour timestamp with time zone NOT NULL,
    provider text COLLATE "C" NOT NULL,
    country text COLLATE "C" NOT NULL,
    bucket smallint NOT NULL,
    messages bigint NOT NULL
);

CREATE TABLE sms_data.reporting_lag (
    provider text COLLATE "C" NOT NULL,
    country text COLLATE "C" NOT NULL,
    p99_s double precision NOT NULL,
    messages bigint NOT NULL,
    computed_at timestamp with time zone NOT NULL,
    CONSTRAINT reporting_lag_pkey PRIMARY KEY (provider, country)
);

CREATE TABLE sms_data.reporting_window (
    provider text COLLATE "C" NOT NULL,
    hours integer NOT NULL,
    CONSTRAINT reporting_window_hours_check CHECK ((hours > 0)),
    CONSTRAINT reporting_window_pkey PRIMARY KEY (provider)
);

CREATE TABLE sms_data.submission (
    submission_id uuid NOT NULL,
    message_id text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    recipient text COLLATE "C",
    country text COLLATE "C",
    sender text COLLATE "C",
    segments smallint,
    fee integer,
    status text COLLATE "C" NOT NULL,
    reason text COLLATE "C",
    code text COLLATE "C" NOT NULL,
    detail text,
    correlation text,
    context jsonb,
    submitted_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone NOT NULL,
    remote_addr inet,
    raw jsonb NOT NULL
) PARTITION BY RANGE (received_at);

CREATE OR REPLACE FUNCTION sms.code_counts(since timestamp with time zone DEFAULT (now() - '1 day'::interval), until timestamp with time zone DEFAULT 'infinity'::timestamp with time zone, by interval DEFAULT '01:00:00'::interval)
 RETURNS TABLE(step timestamp with time zone, provider text, country text, status text, reason text, final boolean, code text, messages bigint, reports bigint)
 LANGUAGE sql
 STABLE PARALLEL SAFE
AS $function$
    SELECT date_bin(by, h.hour, timestamptz '2001-01-01 00:00+00'), h.provider, h.country, h.status, h.reason, h.final, h.code,
           h.messages, h.reports
    FROM sms.hourly AS h
    WHERE h.hour >= since
          AND h.hour < CASE WHEN extract(epoch FROM by) % 86400 <> 0 THEN until ELSE least(until,
              date_bin('1 day', since + interval '24 hours' - interval '1 microsecond', timestamptz '2001-01-01 00:00+00')) END
    UNION ALL
    SELECT date_bin(by, d.day, timestamptz '2001-01-01 00:00+00'), d.provider, d.country, d.status, d.reason, d.final, d.code,
           d.messages, d.reports
    FROM sms.daily_codes AS d
    WHERE extract(epoch FROM by) % 86400 = 0
          AND d.day >= date_bin('1 day', since + interval '24 hours' - interval '1 microsecond', timestamptz '2001-01-01 00:00+00')
          AND d.day < date_bin('1 day', until, timestamptz '2001-01-01 00:00+00')
    UNION ALL
    SELECT date_bin(by, h.hour, timestamptz '2001-01-01 00:00+00'), h.provider, h.country, h.status, h.reason, h.final, h.code,
           h.messages, h.reports
    FROM sms.hourly AS h
    WHERE extract(epoch FROM by) % 86400 = 0
          AND h.hour >= greatest(date_bin('1 day', until, timestamptz '2001-01-01 00:00+00'),
              date_bin('1 day', since + interval '24 hours' - interval '1 microsecond', timestamptz '2001-01-01 00:00+00'))
          AND h.hour < until
$function$
;

CREATE OR REPLACE FUNCTION sms.delivery_percentiles(since timestamp with time zone DEFAULT (now() - '1 day'::interval), until timestamp with time zone DEFAULT 'infinity'::timestamp with time zone, by interval DEFAULT '01:00:00'::interval)
 RETURNS TABLE(hour timestamp with time zone, provider text, country text, messages bigint, median_s double precision, p90_s double precision, p99_s double precision)
 LANGUAGE sql
 STABLE PARALLEL SAFE
AS $function$
    WITH step AS (
        SELECT t.step AS hour, t.provider, t.country, t.seconds, sum(t.messages) AS messages
        FROM sms.delivery_time_counts(since, until, by) AS t
        GROUP BY 1, 2, 3, 4 HAVING sum(t.messages) > 0
    ), ranked AS (
        SELECT step.*, sum(step.messages) OVER (PARTITION BY step.hour, step.provider, step.country
                                                ORDER BY step.seconds) AS until_here,
               sum(step.messages) OVER (PARTITION BY step.hour, step.provider, step.country) AS total
        FROM step
    )
    SELECT ranked.hour, ranked.provider, ranked.country, max(ranked.total)::bigint,
           min(ranked.seconds) FILTER (WHERE until_here >= 0.5 * total),
           min(ranked.seconds) FILTER (WHERE until_here >= 0.9 * total),
           min(ranked.seconds) FILTER (WHERE until_here >= 0.99 * total)
    FROM ranked
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
$function$
;

CREATE OR REPLACE FUNCTION sms.delivery_time_counts(since timestamp with time zone DEFAULT (now() - '1 day'::interval), until timestamp with time zone DEFAULT 'infinity'::timestamp with time zone, by interval DEFAULT '01:00:00'::interval)
 RETURNS TABLE(step timestamp with time zone, provider text, country text, seconds double precision, messages bigint)
 LANGUAGE sql
 STABLE PARALLEL SAFE
AS $function$
    SELECT date_bin(by, h.hour, timestamptz '2001-01-01 00:00+00'), h.provider, h.country, h.seconds, h.messages
    FROM sms.delivery_times AS h
    WHERE h.hour >= since
          AND h.hour < CASE WHEN extract(epoch FROM by) % 86400 <> 0 THEN until ELSE least(until,
              date_bin('1 day', since + interval '24 hours' - interval '1 microsecond', timestamptz '2001-01-01 00:00+00')) END
    UNION ALL
    SELECT date_bin(by, d.day, timestamptz '2001-01-01 00:00+00'), d.provider, d.country, d.seconds, d.messages
    FROM sms.daily_delivery_times AS d
    WHERE extract(epoch FROM by) % 86400 = 0
          AND d.day >= date_bin('1 day', since + interval '24 hours' - interval '1 microsecond', timestamptz '2001-01-01 00:00+00')
          AND d.day < date_bin('1 day', until, timestamptz '2001-01-01 00:00+00')
    UNION ALL
    SELECT date_bin(by, h.hour, timestamptz '2001-01-01 00:00+00'), h.provider, h.country, h.seconds, h.messages
    FROM sms.delivery_times AS h
    WHERE extract(epoch FROM by) % 86400 = 0
          AND h.hour >= greatest(date_bin('1 day', until, timestamptz '2001-01-01 00:00+00'),
              date_bin('1 day', since + interval '24 hours' - interval '1 microsecond', timestamptz '2001-01-01 00:00+00'))
          AND h.hour < until
$function$
;

CREATE OR REPLACE FUNCTION sms.message_counts(since timestamp with time zone DEFAULT (now() - '1 day'::interval), until timestamp with time zone DEFAULT 'infinity'::timestamp with time zone, by interval DEFAULT '01:00:00'::interval)
 RETURNS TABLE(step timestamp with time zone, provider text, country text, status text, reason text, final boolean, messages bigint, taken bigint, silent bigint, reports bigint, segments bigint, fees bigint, requests bigint)
 LANGUAGE sql
 STABLE PARALLEL SAFE
AS $function$
    SELECT date_bin(by, h.hour, timestamptz '2001-01-01 00:00+00'), h.provider, h.country, h.status, h.reason, h.final,
           h.messages, CASE WHEN h.accepted THEN h.messages ELSE 0 END, CASE WHEN h.reported THEN 0 ELSE h.messages END,
           h.reports, h.segments, h.fees, h.requests
    FROM sms.hourly AS h
    WHERE h.hour >= since
          AND h.hour < CASE WHEN extract(epoch FROM by) % 86400 <> 0 THEN until ELSE least(until,
              date_bin('1 day', since + interval '24 hours' - interval '1 microsecond', timestamptz '2001-01-01 00:00+00')) END
    UNION ALL
    SELECT date_bin(by, d.day, timestamptz '2001-01-01 00:00+00'), d.provider, d.country, d.status, d.reason, d.final,
           d.messages, d.taken, d.silent, d.reports, d.segments, d.fees, d.requests
    FROM sms.daily AS d
    WHERE extract(epoch FROM by) % 86400 = 0
          AND d.day >= date_bin('1 day', since + interval '24 hours' - interval '1 microsecond', timestamptz '2001-01-01 00:00+00')
          AND d.day < date_bin('1 day', until, timestamptz '2001-01-01 00:00+00')
    UNION ALL
    SELECT date_bin(by, h.hour, timestamptz '2001-01-01 00:00+00'), h.provider, h.country, h.status, h.reason, h.final,
           h.messages, CASE WHEN h.accepted THEN h.messages ELSE 0 END, CASE WHEN h.reported THEN 0 ELSE h.messages END,
           h.reports, h.segments, h.fees, h.requests
    FROM sms.hourly AS h
    WHERE extract(epoch FROM by) % 86400 = 0
          AND h.hour >= greatest(date_bin('1 day', until, timestamptz '2001-01-01 00:00+00'),
              date_bin('1 day', since + interval '24 hours' - interval '1 microsecond', timestamptz '2001-01-01 00:00+00'))
          AND h.hour < until
$function$
;

CREATE OR REPLACE FUNCTION sms.messages_to(recipient text, since timestamp with time zone DEFAULT (now() - '30 days'::interval))
 RETURNS SETOF sms.message
 LANGUAGE sql
 STABLE PARALLEL SAFE
AS $function$
    SELECT m.*
    FROM (
        SELECT r.message_id, r.provider FROM sms.delivery_report AS r
        WHERE r.recipient = messages_to.recipient AND r.received_at >= messages_to.since
        UNION
        SELECT s.message_id, s.provider FROM sms.submission AS s
        WHERE s.recipient = messages_to.recipient AND s.received_at >= messages_to.since
    ) AS named
    CROSS JOIN LATERAL (
        SELECT * FROM sms.message AS known
        WHERE known.message_id = named.message_id AND known.provider = named.provider
              AND known.recipient = messages_to.recipient
        OFFSET 0) AS m
    ORDER BY m.first_received_at DESC
$function$
;

CREATE OR REPLACE FUNCTION sms_data.bucket_seconds(bucket smallint)
 RETURNS double precision
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$ SELECT power(1.1::double precision, bucket - 0.5::double precision) $function$
;

CREATE OR REPLACE FUNCTION sms_data.changed_rows(operation text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
    SELECT CASE operation WHEN 'INSERT' THEN 'SELECT 1 AS one, * FROM after'
                          WHEN 'DELETE' THEN 'SELECT -1 AS one, * FROM before'
                          ELSE 'SELECT 1 AS one, * FROM after UNION ALL SELECT -1, * FROM before' END
$function$
;

CREATE OR REPLACE FUNCTION sms_data.count_changes()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    changed   bigint;
    submitted bigint;
BEGIN
    SELECT count(*), count(submitted_at) INTO changed, submitted FROM after;
    IF changed = 0 THEN  -- as after every upsert that finds its rows there
        RETURN NULL;
    END IF;
    INSERT INTO sms_data.message_delta
    SELECT sms_data.utc_hour(first_received_at), sms_data.utc_hour(coalesce(submitted_at, first_received_at)),
           provider, coalesce(country, ''), status, coalesce(reason, ''), coalesce(code, ''),
           sms_data.is_accepted(parts, part, status), sms_data.is_reported(parts, part),
           sum(one), sum(one * sms_data.report_count(parts, part, seen)), sum(one * segments)
    FROM (SELECT 1 AS one, * FROM after UNION ALL SELECT -1, * FROM before) AS m
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    HAVING sum(one) <> 0 OR sum(one * sms_data.report_count(parts, part, seen)) <> 0 OR sum(one * segments) <> 0;
    IF submitted > 0 THEN
        INSERT INTO sms_data.delivery_time_delta
        SELECT sms_data.utc_hour(submitted_at), provider, coalesce(country, ''),
               sms_data.time_bucket(extract(epoch FROM happened_at - submitted_at)),
               sum(one)
        FROM (SELECT 1 AS one, * FROM after UNION ALL SELECT -1, * FROM before) AS m
        WHERE status = 'delivered' AND happened_at IS NOT NULL AND submitted_at IS NOT NULL
        GROUP BY 1, 2, 3, 4 HAVING sum(one) <> 0;
        INSERT INTO sms_data.report_lag_delta
        SELECT sms_data.utc_hour(submitted_at), provider, coalesce(country, ''),
               sms_data.time_bucket(extract(epoch FROM coalesce(last_received_at, first_received_at) - submitted_at)),
               sum(one)
        FROM (SELECT 1 AS one, * FROM after UNION ALL SELECT -1, * FROM before) AS m
        WHERE submitted_at IS NOT NULL AND awaited_since IS NULL AND sms_data.is_reported(parts, part)
        GROUP BY 1, 2, 3, 4 HAVING sum(one) <> 0;
    END IF;
    RETURN NULL;
END
$function$
;

CREATE OR REPLACE FUNCTION sms_data.count_delivery_time_days()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    EXECUTE format($follow$
        INSERT INTO sms_data.delivery_time_day_count AS c
        SELECT sms_data.utc_day(hour), provider, country, bucket, sum(one * messages)
        FROM (%s) AS changed
        GROUP BY 1, 2, 3, 4 HAVING sum(one * messages) <> 0
        ORDER BY 1, 2, 3, 4
        ON CONFLICT (day, provider, country, bucket) DO UPDATE SET messages = c.messages + excluded.messages
    $follow$, sms_data.changed_rows(TG_OP));
    IF TG_OP = 'DELETE' THEN
        DELETE FROM sms_data.delivery_time_day_count
        WHERE day = ANY (ARRAY(SELECT DISTINCT sms_data.utc_day(hour) FROM before)) AND messages = 0;
    END IF;
    RETURN NULL;
END
$function$
;

CREATE OR REPLACE FUNCTION sms_data.count_message_days()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    EXECUTE format($follow$
        INSERT INTO sms_data.message_day_count AS c
        SELECT * FROM (
            SELECT sms_data.utc_day(hour), provider, country, status, reason, sum(one * messages) AS messages,
                   coalesce(sum(one * messages) FILTER (WHERE accepted), 0) AS taken,
                   coalesce(sum(one * messages) FILTER (WHERE NOT reported), 0) AS silent,
                   sum(one * reports) AS reports, sum(one * segments) AS segments, sum(one * fees) AS fees,
                   sum(one * requests) AS requests
            FROM (%s) AS changed
            GROUP BY 1, 2, 3, 4, 5) AS sums
        WHERE (messages, taken, silent, reports, segments, fees, requests) <> (0, 0, 0, 0, 0, 0, 0)
        ORDER BY 1, 2, 3, 4, 5
        ON CONFLICT (day, provider, country, status, reason) DO UPDATE
            SET messages = c.messages + excluded.messages, taken = c.taken + excluded.taken,
                silent = c.silent + excluded.silent, reports = c.reports + excluded.reports,
                segments = c.segments + excluded.segments, fees = c.fees + excluded.fees,
                requests = c.requests + excluded.requests
    $follow$, sms_data.changed_rows(TG_OP));
    EXECUTE format($follow$
        INSERT INTO sms_data.code_day_count AS c
        SELECT sms_data.utc_day(hour), provider, country, status, reason, code, sum(one * messages), sum(one * reports)
        FROM (%s) AS changed
        GROUP BY 1, 2, 3, 4, 5, 6 HAVING (sum(one * messages), sum(one * reports)) <> (0, 0)
        ORDER BY 1, 2, 3, 4, 5, 6
        ON CONFLICT (day, provider, country, status, reason, code) DO UPDATE
            SET messages = c.messages + excluded.messages, reports = c.reports + excluded.reports
    $follow$, sms_data.changed_rows(TG_OP));
    IF TG_OP = 'DELETE' THEN
        DELETE FROM sms_data.message_day_count
        WHERE day = ANY (ARRAY(SELECT DISTINCT sms_data.utc_day(hour) FROM before))
              AND (messages, taken, silent, reports, segments, fees, requests) = (0, 0, 0, 0, 0, 0, 0);
        DELETE FROM sms_data.code_day_count
        WHERE day = ANY (ARRAY(SELECT DISTINCT sms_data.utc_day(hour) FROM before)) AND (messages, reports) = (0, 0);
    END IF;
    RETURN NULL;
END
$function$
;

CREATE OR REPLACE FUNCTION sms_data.count_messages()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    changed   bigint;
    submitted bigint;
BEGIN
    SELECT count(*), count(submitted_at) INTO changed, submitted FROM after;
    IF changed = 0 THEN  -- as after every upsert that finds its rows there
        RETURN NULL;
    END IF;
    INSERT INTO sms_data.message_delta
    SELECT sms_data.utc_hour(first_received_at), sms_data.utc_hour(coalesce(submitted_at, first_received_at)),
           provider, coalesce(country, ''), status, coalesce(reason, ''), coalesce(code, ''),
           sms_data.is_accepted(parts, part, status), sms_data.is_reported(parts, part),
           count(*), sum(sms_data.report_count(parts, part, seen)), sum(segments)
    FROM after GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9;
    IF submitted > 0 THEN
        INSERT INTO sms_data.delivery_time_delta
        SELECT sms_data.utc_hour(submitted_at), provider, coalesce(country, ''),
               sms_data.time_bucket(extract(epoch FROM happened_at - submitted_at)),
               count(*)
        FROM after
        WHERE status = 'delivered' AND happened_at IS NOT NULL AND submitted_at IS NOT NULL
        GROUP BY 1, 2, 3, 4;
        INSERT INTO sms_data.report_lag_delta
        SELECT sms_data.utc_hour(submitted_at), provider, coalesce(country, ''),
               sms_data.time_bucket(extract(epoch FROM coalesce(last_received_at, first_received_at) - submitted_at)),
               count(*)
        FROM after
        WHERE submitted_at IS NOT NULL AND awaited_since IS NULL AND sms_data.is_reported(parts, part)
        GROUP BY 1, 2, 3, 4;
    END IF;
    RETURN NULL;
END
$function$
;

CREATE OR REPLACE FUNCTION sms_data.count_submissions()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    INSERT INTO sms_data.message_delta
    SELECT sms_data.utc_hour(received_at), sms_data.utc_hour(submitted_at), provider, coalesce(country, ''), status,
           coalesce(reason, ''), code, status = 'enroute', false, 0, 0, 0, coalesce(sum(fee), 0), count(*)
    FROM after GROUP BY 1, 2, 3, 4, 5, 6, 7;
    RETURN NULL;
END
$function$
;

CREATE OR REPLACE FUNCTION sms_data.create_partitions(day date)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '2s'
AS $function$
DECLARE
    today CONSTANT date := (now() AT TIME ZONE 'UTC')::date;
    -- A spool, an export or a rejected payload may be replayed when it is years old. No report was received before
    -- 2020, unless the clock itself is wrong: then the days around the clock's own are accepted.
    first CONSTANT date := least(date '2020-01-01', today - 400);
    last  CONSTANT date := today + 400;
    parent_name text;
    child_name  text;
    created     integer := 0;
BEGIN
    IF (day BETWEEN first AND last) IS NOT TRUE THEN
        RAISE EXCEPTION 'no partitions are made for %: it is not between % and %', day, first, last
            USING ERRCODE = 'datetime_field_overflow';
    END IF;
    -- Retention has begun to drop it, and waits for a reader of the table.
    IF EXISTS (SELECT FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
               WHERE inhdetachpending AND child.relnamespace = 'sms_data'::regnamespace
                     AND right(child.relname, 9) = to_char(create_partitions.day, '"_"YYYYMMDD'))
    THEN
        RAISE EXCEPTION 'no partitions are made for %: it is beyond the retention', day
            USING ERRCODE = 'datetime_field_overflow';
    END IF;
    -- Several services may get here at the same time.
    LOCK TABLE sms_data.partitioned_table IN SHARE ROW EXCLUSIVE MODE;
    FOR parent_name IN
        SELECT known.name FROM sms_data.partitioned_table AS known
        WHERE NOT EXISTS (SELECT FROM sms_data.partition AS p
                          WHERE p.parent = known.name
                                AND p.name = format('%s_%s', known.name, to_char(create_partitions.day, 'YYYYMMDD')))
        ORDER BY known.name
    LOOP
        child_name := format('%s_%s', parent_name, to_char(day, 'YYYYMMDD'));
        -- A table that exists unattached was left by an interrupted detachment.
        EXECUTE format('CREATE TABLE IF NOT EXISTS sms_data.%I'
                       ' (LIKE sms_data.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                       child_name, parent_name);
        IF (SELECT relreplident FROM pg_class WHERE oid = format('sms_data.%I', parent_name)::regclass) = 'f' THEN
            EXECUTE format('ALTER TABLE sms_data.%I REPLICA IDENTITY FULL', child_name);
        END IF;
        EXECUTE format('ALTER TABLE sms_data.%I ATTACH PARTITION sms_data.%I FOR VALUES FROM (%L) TO (%L)',
                       parent_name, child_name,
                       day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
        created := created + 1;
    END LOOP;
    RETURN created;
END
$function$
;

CREATE OR REPLACE FUNCTION sms_data.fold_counts(most integer)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    folded integer;
    total  integer := 0;
    name   text;
BEGIN
    BEGIN
        LOCK TABLE sms_data.message_count IN SHARE ROW EXCLUSIVE MODE NOWAIT;
    EXCEPTION WHEN lock_not_available THEN
        RETURN 0;
    END;
    WITH moved AS (
        DELETE FROM sms_data.message_delta
        WHERE ctid = ANY (ARRAY(SELECT ctid FROM sms_data.message_delta LIMIT most))
        RETURNING *
    ), added AS (
        INSERT INTO sms_data.message_count AS c
        SELECT hour, submitted_hour, provider, country, status, reason, code, accepted, reported,
               sum(messages), sum(reports), sum(segments), sum(fees), sum(requests)
        FROM moved GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
        HAVING (sum(messages), sum(reports), sum(segments), sum(fees), sum(requests)) <> (0, 0, 0, 0, 0)
        ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9
        ON CONFLICT (hour, submitted_hour, provider, country, status, reason, code, accepted, reported) DO UPDATE
            SET messages = c.messages + excluded.messages, reports = c.reports + excluded.reports,
                segments = c.segments + excluded.segments, fees = c.fees + excluded.fees,
                requests = c.requests + excluded.requests
    )
    SELECT count(*) INTO folded FROM moved;
    total := total + folded;
    FOREACH name IN ARRAY ARRAY['delivery_time', 'report_lag'] LOOP
        EXECUTE format($fold$
            WITH moved AS (
                DELETE FROM sms_data.%1$s_delta
                WHERE ctid = ANY (ARRAY(SELECT ctid FROM sms_data.%1$s_delta LIMIT $1))
                RETURNING *
            ), added AS (
                INSERT INTO sms_data.%1$s_count AS c
                SELECT hour, provider, country, bucket, sum(messages) FROM moved
                GROUP BY 1, 2, 3, 4 HAVING sum(messages) <> 0
                ORDER BY 1, 2, 3, 4
                ON CONFLICT (hour, provider, country, bucket) DO UPDATE SET messages = c.messages + excluded.messages
            )
            SELECT count(*) FROM moved$fold$, name) INTO folded USING most;
        total := total + folded;
    END LOOP;
    RETURN total;
END
$function$
;

CREATE OR REPLACE FUNCTION sms_data.in_order(messages sms_data.incoming_message[], lone sms_data.incoming_report[])
 RETURNS sms_data.incoming_message[]
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    RETURN (
        SELECT array_agg(n ORDER BY (n).message_id, (n).provider, (n).recipient_key)
        FROM (
            SELECT m AS n FROM unnest(messages) AS m
            UNION ALL
            SELECT ROW (r.message_id, r.provider, r.recipient_key, r.status, r.reason, r.code, r.happened_at,
                        r.sequence, total.n, total.n, r.recipient, r.country, r.sender, r.context, r.envelope_id,
                        r.received_at, NULL, NULL, coalesce(r.segment, 0), NULL, r.report_id,
                        NULL)::sms_data.incoming_message
            FROM unnest(lone) AS r,
                 LATERAL (SELECT CASE WHEN r.segments > 1 THEN least(r.segments, 255) ELSE 1 END AS n) AS total
        ) AS given);
END
$function$
;

CREATE OR REPLACE FUNCTION sms_data.is_accepted(parts jsonb, part smallint, status text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
    SELECT CASE WHEN parts IS NULL THEN part = -1 AND status = 'enroute'
                ELSE coalesce(parts #>> '{-1,3}' = 'enroute', false) END
$function$
;

CREATE OR REPLACE FUNCTION sms_data.is_reported(parts jsonb, part smallint)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$ SELECT CASE WHEN parts IS NULL THEN part <> -1 ELSE parts - '-1' <> '{}' END $function$
;

CREATE OR REPLACE FUNCTION sms_data.make_room_for_rejected(max_bytes bigint, OUT room bigint, OUT dropped bigint)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '2s'
AS $function$
DECLARE
    share CONSTANT bigint := max_bytes / 32 * 3;
    current_slot   integer;
    next_slot      integer;
    next_name      text;
BEGIN
    dropped := 0;
    -- Several services may get here at the same time: the second one finds the ring advanced. Not an advisory lock,
    -- which any login may hold; no other role may change this table.
    LOCK TABLE sms_data.rejected_ring IN SHARE ROW EXCLUSIVE MODE;
    SELECT slot INTO current_slot FROM sms_data.rejected_ring;
    IF pg_total_relation_size(format('sms_data.rejected_payload_slot_%s', current_slot)::regclass) >= share
       OR sms_data.rejected_bytes() > 8 * share
    THEN
        next_slot := (current_slot + 1) % 8;
        next_name := format('rejected_payload_slot_%s', next_slot);
        EXECUTE format('LOCK TABLE sms_data.%I IN ACCESS EXCLUSIVE MODE', next_name);
        EXECUTE format('SELECT count(*) FROM sms_data.%I', next_name) INTO dropped;
        EXECUTE format('TRUNCATE sms_data.%I', next_name);
        UPDATE sms_data.rejected_ring SET slot = next_slot;
    END IF;
    room := max_bytes - sms_data.rejected_bytes();
END
$function$
;

CREATE OR REPLACE FUNCTION sms_data.merge_lone(lone sms_data.incoming_report[], most_reports integer)
 RETURNS uuid[]
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    merged uuid[];
BEGIN
    WITH written AS (
        INSERT INTO sms_data.message AS m (
            first_received_at, happened_at, report_id, segments, segments_reported, part, sequence, message_id,
            provider, recipient_key, status, code, recipient, country, sender, reason, context, envelope_id)
        SELECT n.received_at, n.happened_at, n.report_id,
               CASE WHEN n.segments > 1 THEN least(n.segments, 255) ELSE 1 END,
               CASE WHEN n.segments > 1 THEN least(n.segments, 255) ELSE 1 END,
               coalesce(n.segment, 0), n.sequence,
               n.message_id, n.provider, n.recipient_key, n.status, n.code, n.recipient, n.country, n.sender, n.reason,
               n.context, n.envelope_id
        FROM unnest(lone) AS n
        ON CONFLICT (message_id, provider, recipient_key) DO UPDATE SET
            (status, reason, code, happened_at, sequence, awaited_since) = (
                SELECT CASE WHEN greater THEN excluded.status ELSE m.status END,
                       CASE WHEN greater THEN excluded.reason ELSE m.reason END,
                       CASE WHEN greater THEN excluded.code ELSE m.code END,
                       CASE WHEN greater THEN excluded.happened_at ELSE m.happened_at END,
                       CASE WHEN greater THEN excluded.sequence ELSE m.sequence END,
                       CASE WHEN CASE WHEN greater THEN excluded.status ELSE m.status END
                                 IN ('unknown', 'enroute', 'accepted') THEN m.submitted_at END
                FROM (SELECT (sms_data.rank(excluded.status), coalesce(excluded.happened_at, '-infinity'),
                              coalesce(excluded.sequence, 0), excluded.code, excluded.status,
                              coalesce(excluded.reason, ''))
                             > (sms_data.rank(m.status), coalesce(m.happened_at, '-infinity'),
                                coalesce(m.sequence, 0), m.code, m.status, coalesce(m.reason, '')) AS greater
                      OFFSET 0) AS compared),
            segments = greatest(m.segments, excluded.segments),
            segments_reported = greatest(m.segments_reported, excluded.segments_reported),
            recipient = greatest(m.recipient, excluded.recipient),
            country = greatest(m.country, excluded.country),
            sender = greatest(m.sender, excluded.sender),
            context = greatest(m.context, excluded.context),
            envelope_id = greatest(m.envelope_id, excluded.envelope_id),
            first_received_at = least(m.first_received_at, excluded.first_received_at),
            last_received_at = greatest(m.first_received_at, m.last_received_at, excluded.first_received_at),
            seen_before = coalesce(cardinality(m.seen), 1),
            seen = coalesce(m.seen, ARRAY[m.report_id]) || excluded.report_id,
            report_id = NULL
        WHERE m.part = excluded.part AND (m.part = 0 OR (m.segments = 1 AND excluded.segments = 1))
              AND excluded.report_id <> ALL (coalesce(m.seen, ARRAY[m.report_id]))
              AND coalesce(cardinality(m.seen), 1) < most_reports
        RETURNING coalesce(m.seen[m.seen_before + 1], m.report_id) AS id
    )
    SELECT array_agg(id) INTO merged FROM written;
    RETURN merged;
END
$function$
;

CREATE OR REPLACE FUNCTION sms_data.merge_messages(messages sms_data.incoming_message[], most_reports integer)
 RETURNS uuid[]
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    merged uuid[];
BEGIN
    WITH written AS (
        INSERT INTO sms_data.message AS m (
            first_received_at, happened_at, report_id, segments, segments_reported, part, sequence, message_id,
            provider, recipient_key, status, code, recipient, country, sender, reason, context, envelope_id,
            last_received_at, submitted_at, awaited_since, parts, seen)
        SELECT n.first_received_at, n.happened_at, n.report_id, n.segments, n.segments_reported, n.part, n.sequence,
               n.message_id, n.provider, n.recipient_key, n.status, n.code, n.recipient, n.country, n.sender, n.reason,
               n.context, n.envelope_id, n.last_received_at, n.submitted_at,
               CASE WHEN n.status IN ('unknown', 'enroute', 'accepted') THEN n.submitted_at END, n.parts, n.seen
        FROM unnest(messages) AS n
        ON CONFLICT (message_id, provider, recipient_key) DO UPDATE SET
            (status, reason, code, happened_at, sequence, segments, segments_reported, awaited_since, part, parts) = (
                -- Of one segment, or about the same part: the greater state is the state.
                SELECT CASE WHEN greater THEN excluded.status ELSE m.status END,
                       CASE WHEN greater THEN excluded.reason ELSE m.reason END,
                       CASE WHEN greater THEN excluded.code ELSE m.code END,
                       CASE WHEN greater THEN excluded.happened_at ELSE m.happened_at END,
                       CASE WHEN greater THEN excluded.sequence ELSE m.sequence END,
                       greatest(m.segments, excluded.segments),
                       greatest(m.segments_reported, excluded.segments_reported),
                       CASE WHEN CASE WHEN greater THEN excluded.status ELSE m.status END
                                 IN ('unknown', 'enroute', 'accepted')
                            THEN least(m.submitted_at, excluded.submitted_at) END,
                       CASE WHEN m.part = excluded.part THEN m.part END,
                       CASE WHEN (m.part = excluded.part) IS NOT TRUE THEN sms_data.merge_parts(
                           coalesce(m.parts, sms_data.only_part(m.part, m.status, m.reason, m.code, m.happened_at,
                                                                m.sequence)),
                           coalesce(excluded.parts, sms_data.only_part(excluded.part, excluded.status, excluded.reason,
                                                                       excluded.code, excluded.happened_at,
                                                                       excluded.sequence))) END
                FROM (SELECT (sms_data.rank(excluded.status), coalesce(excluded.happened_at, '-infinity'),
                              coalesce(excluded.sequence, 0), excluded.code, excluded.status,
                              coalesce(excluded.reason, ''))
                             > (sms_data.rank(m.status), coalesce(m.happened_at, '-infinity'),
                                coalesce(m.sequence, 0), m.code, m.status, coalesce(m.reason, '')) AS greater
                      OFFSET 0) AS compared
                WHERE (m.segments = 1 AND excluded.segments = 1) OR (m.part = excluded.part AND m.part <= 0)
                UNION ALL
                SELECT s.status, s.reason, s.code, s.happened_at, NULL, s.segments, s.segments_reported,
                       CASE WHEN s.status IN ('unknown', 'enroute', 'accepted')
                            THEN least(m.submitted_at, excluded.submitted_at) END,
                       NULL, p.parts
                FROM (SELECT sms_data.merge_parts(
                             coalesce(m.parts, sms_data.only_part(m.part, m.status, m.reason, m.code, m.happened_at,
                                                                  m.sequence)),
                             coalesce(excluded.parts, sms_data.only_part(
                                 excluded.part, excluded.status, excluded.reason, excluded.code, excluded.happened_at,
                                 excluded.sequence))) AS parts
                      OFFSET 0) AS p,
                     LATERAL sms_data.message_state(p.parts, greatest(m.segments, excluded.segments)) AS s
                WHERE ((m.segments = 1 AND excluded.segments = 1) OR (m.part = excluded.part AND m.part <= 0))
                      IS NOT TRUE),
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
            report_id = NULL
        WHERE NOT coalesce(excluded.seen, ARRAY[excluded.report_id]) <@ coalesce(m.seen, ARRAY[m.report_id])
              AND coalesce(cardinality(m.seen), 1) < most_reports
        RETURNING CASE WHEN m.seen_before IS NULL THEN coalesce(m.seen, ARRAY[m.report_id])
                       ELSE m.seen[m.seen_before + 1:] END AS ids
    )
    SELECT array_agg(id) INTO merged FROM written, unnest(written.ids) AS id;
    RETURN merged;
END
$function$
;

CREATE OR REPLACE FUNCTION sms_data.merge_parts(a jsonb, b jsonb)
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
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
$function$
;

CREATE OR REPLACE FUNCTION sms_data.message_state(parts jsonb, said_segments integer, OUT status text, OUT reason text, OUT code text, OUT happened_at timestamp with time zone, OUT segments smallint, OUT segments_reported smallint)
 RETURNS record
 LANGUAGE sql
 STABLE PARALLEL SAFE
AS $function$
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
$function$
;

CREATE OR REPLACE FUNCTION sms_data.only_part(part smallint, status text, reason text, code text, happened_at timestamp with time zone, sequence smallint)
 RETURNS jsonb
 LANGUAGE sql
 STABLE PARALLEL SAFE
AS $function$
    SELECT jsonb_build_object(part::text, jsonb_build_array(
        sms_data.rank(status),
        CASE WHEN happened_at IS NULL THEN ''
             WHEN date_trunc('second', happened_at) = happened_at
             THEN to_char(happened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"')
             ELSE to_char(happened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') END
        || CASE WHEN sequence > 0 THEN to_char(sequence, '"#"FM0000') ELSE '' END,
        code, status, coalesce(reason, '')))
$function$
;

CREATE OR REPLACE FUNCTION sms_data.probe()
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
    DELETE FROM sms_data.probe
    WHERE ctid IN (SELECT ctid FROM sms_data.probe
                   WHERE probed_at < now() - interval '1 hour'
                   LIMIT 100 FOR UPDATE SKIP LOCKED);
    INSERT INTO sms_data.probe DEFAULT VALUES;
$function$
;

CREATE OR REPLACE FUNCTION sms_data.rank(status text)
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
    SELECT CASE status WHEN 'unknown' THEN 0 WHEN 'enroute' THEN 1 WHEN 'accepted' THEN 2 WHEN 'expired' THEN 3
                       WHEN 'delivered' THEN 5 ELSE 4 END
$function$
;

CREATE OR REPLACE FUNCTION sms_data.recount()
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    since timestamptz;
    wrong integer;
    total integer;
BEGIN
    -- Locked against another recount, and against retention that begins to delete meanwhile.
    SELECT before INTO since FROM sms_data.counts_only FOR UPDATE;
    INSERT INTO sms_data.message_delta
    SELECT hour, submitted_hour, provider, country, status, reason, code, accepted, reported,
           sum(messages), sum(reports), sum(segments), sum(fees), sum(requests)
    FROM (
        SELECT sms_data.utc_hour(first_received_at) AS hour,
               sms_data.utc_hour(coalesce(submitted_at, first_received_at)) AS submitted_hour,
               provider, coalesce(country, '') AS country, status, coalesce(reason, '') AS reason,
               coalesce(code, '') AS code, sms_data.is_accepted(parts, part, status) AS accepted,
               sms_data.is_reported(parts, part) AS reported,
               count(*) AS messages, sum(sms_data.report_count(parts, part, seen)) AS reports,
               sum(segments) AS segments, 0 AS fees, 0 AS requests
        FROM sms_data.message WHERE first_received_at >= since
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
        UNION ALL
        SELECT sms_data.utc_hour(received_at), sms_data.utc_hour(submitted_at), provider, coalesce(country, ''), status,
               coalesce(reason, ''), code, status = 'enroute', false, 0, 0, 0, coalesce(sum(fee), 0), count(*)
        FROM sms_data.submission WHERE received_at >= since
        GROUP BY 1, 2, 3, 4, 5, 6, 7
        UNION ALL
        SELECT hour, submitted_hour, provider, country, status, reason, code, accepted, reported,
               -messages, -reports, -segments, -fees, -requests
        FROM sms_data.message_counted WHERE hour >= since
    ) AS side
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    HAVING (sum(messages), sum(reports), sum(segments), sum(fees), sum(requests)) <> (0, 0, 0, 0, 0);
    GET DIAGNOSTICS total = ROW_COUNT;
    since := since + interval '2 days';
    INSERT INTO sms_data.delivery_time_delta
    SELECT hour, provider, country, bucket, sum(messages)
    FROM (
        SELECT sms_data.utc_hour(submitted_at) AS hour, provider, coalesce(country, '') AS country,
               sms_data.time_bucket(extract(epoch FROM happened_at - submitted_at)) AS bucket, count(*) AS messages
        FROM sms_data.message
        WHERE status = 'delivered' AND happened_at IS NOT NULL AND submitted_at >= since
        GROUP BY 1, 2, 3, 4
        UNION ALL
        SELECT hour, provider, country, bucket, -messages FROM sms_data.delivery_time_counted WHERE hour >= since
    ) AS side
    GROUP BY 1, 2, 3, 4 HAVING sum(messages) <> 0;
    GET DIAGNOSTICS wrong = ROW_COUNT;
    total := total + wrong;
    INSERT INTO sms_data.report_lag_delta
    SELECT hour, provider, country, bucket, sum(messages)
    FROM (
        SELECT sms_data.utc_hour(submitted_at) AS hour, provider, coalesce(country, '') AS country,
               sms_data.time_bucket(extract(epoch FROM coalesce(last_received_at, first_received_at) - submitted_at)) AS bucket,
               count(*) AS messages
        FROM sms_data.message
        WHERE submitted_at >= since AND awaited_since IS NULL AND sms_data.is_reported(parts, part)
        GROUP BY 1, 2, 3, 4
        UNION ALL
        SELECT hour, provider, country, bucket, -messages FROM sms_data.report_lag_counted WHERE hour >= since
    ) AS side
    GROUP BY 1, 2, 3, 4 HAVING sum(messages) <> 0;
    GET DIAGNOSTICS wrong = ROW_COUNT;
    RETURN total + wrong;
END
$function$
;

CREATE OR REPLACE FUNCTION sms_data.rejected_bytes()
 RETURNS bigint
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
    SELECT sum(pg_total_relation_size(inhrelid))::bigint
    FROM pg_inherits WHERE inhparent = 'sms_data.rejected_payload'::regclass
$function$
;

CREATE OR REPLACE FUNCTION sms_data.rejected_slot()
 RETURNS smallint
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$ SELECT slot FROM sms_data.rejected_ring $function$
;

CREATE OR REPLACE FUNCTION sms_data.report_count(parts jsonb, part smallint, seen uuid[])
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
    SELECT coalesce(cardinality(seen), 1) - CASE WHEN parts IS NULL THEN part = -1 ELSE parts ? '-1' END::integer
$function$
;

CREATE OR REPLACE FUNCTION sms_data.store_envelopes(message_ids text[], providers text[], envelope_ids uuid[], received_ats timestamp with time zone[], contexts jsonb[], raws jsonb[])
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
    INSERT INTO sms_data.envelope (message_id, provider, envelope_id, received_at, context, raw)
    SELECT * FROM unnest(message_ids, providers, envelope_ids, received_ats, contexts, raws)
    ON CONFLICT DO NOTHING
$function$
;

CREATE OR REPLACE FUNCTION sms_data.store_reports(lone sms_data.incoming_report[], messages sms_data.incoming_message[], reports sms_data.incoming_report[], most_reports integer, patience_ms integer)
 RETURNS TABLE(row_id uuid, known boolean)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
DECLARE
    given    CONSTANT integer := cardinality(lone) + cardinality(messages);
    inserted integer;
    sorted   sms_data.incoming_message[];
    old_lone sms_data.incoming_report[];
    merging  sms_data.incoming_message[];
    repeated uuid[];
    refused  uuid[];
    merged   uuid[];
    found    integer;
    ours     integer;
BEGIN
    PERFORM set_config('lock_timeout', patience_ms::text, true);
    IF current_setting('synchronous_commit') IN ('off', 'local') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;

    IF cardinality(messages) = 0 THEN
        INSERT INTO sms_data.message (
            first_received_at, happened_at, report_id, segments, segments_reported, part, sequence, message_id,
            provider, recipient_key, status, code, recipient, country, sender, reason, context, envelope_id)
        SELECT n.received_at, n.happened_at, n.report_id,
               CASE WHEN n.segments > 1 THEN least(n.segments, 255) ELSE 1 END,
               CASE WHEN n.segments > 1 THEN least(n.segments, 255) ELSE 1 END,
               coalesce(n.segment, 0), n.sequence,
               n.message_id, n.provider, n.recipient_key, n.status, n.code, n.recipient, n.country, n.sender, n.reason,
               n.context, n.envelope_id
        FROM unnest(lone) AS n
        ON CONFLICT DO NOTHING;
    ELSE
        sorted := sms_data.in_order(messages, lone);
        INSERT INTO sms_data.message (
            first_received_at, happened_at, report_id, segments, segments_reported, part, sequence, message_id,
            provider, recipient_key, status, code, recipient, country, sender, reason, context, envelope_id,
            last_received_at, submitted_at, awaited_since, parts, seen)
        SELECT n.first_received_at, n.happened_at, n.report_id, n.segments, n.segments_reported, n.part, n.sequence,
               n.message_id, n.provider, n.recipient_key, n.status, n.code, n.recipient, n.country, n.sender, n.reason,
               n.context, n.envelope_id, n.last_received_at, n.submitted_at,
               CASE WHEN n.status IN ('unknown', 'enroute', 'accepted') THEN n.submitted_at END, n.parts, n.seen
        FROM unnest(sorted) AS n
        ON CONFLICT DO NOTHING;
    END IF;
    GET DIAGNOSTICS inserted = ROW_COUNT;

    IF inserted < given THEN
        -- A known id stays known, so a duplicate needs no lock.
        SELECT coalesce(array_agg(n) FILTER (WHERE m.is_new), '{}'),
               array_agg(n) FILTER (WHERE NOT m.is_new AND n.report_id <> ALL (m.ids)),
               array_agg(n.report_id) FILTER (WHERE NOT m.is_new AND n.report_id = ANY (m.ids)),
               count(*), count(*) FILTER (WHERE m.is_new)
        INTO lone, old_lone, repeated, found, ours
        FROM unnest(lone) AS n
        CROSS JOIN LATERAL (
            SELECT known.xmin = pg_current_xact_id()::xid AS is_new,
                   coalesce(known.seen, ARRAY[known.report_id]) AS ids
            FROM sms_data.message AS known
            WHERE known.message_id = n.message_id AND known.provider = n.provider
                  AND known.recipient_key = n.recipient_key
            OFFSET 0) AS m;
        IF cardinality(messages) > 0 THEN
            SELECT array_agg(n) FILTER (WHERE NOT m.is_new), found + count(*),
                   ours + count(*) FILTER (WHERE m.is_new)
            INTO merging, found, ours
            FROM unnest(messages) AS n
            CROSS JOIN LATERAL (
                SELECT known.xmin = pg_current_xact_id()::xid AS is_new
                FROM sms_data.message AS known
                WHERE known.message_id = n.message_id AND known.provider = n.provider
                      AND known.recipient_key = n.recipient_key
                OFFSET 0) AS m;
        END IF;
        IF found <> given OR ours <> inserted THEN
            RAISE EXCEPTION 'messages were deleted meanwhile' USING ERRCODE = 'serialization_failure';
        END IF;
        RETURN QUERY SELECT id, true FROM unnest(repeated) AS id;

        lone := lone || old_lone;
        IF old_lone IS NOT NULL AND merging IS NULL THEN
            merged := sms_data.merge_lone(old_lone, most_reports);
            IF cardinality(merged) = cardinality(old_lone) THEN
                old_lone := NULL;
            ELSIF merged IS NOT NULL THEN
                SELECT array_agg(r) INTO old_lone
                FROM unnest(old_lone) AS r
                WHERE r.report_id NOT IN (SELECT new.id FROM unnest(merged) AS new (id));
            END IF;
        END IF;
        IF old_lone IS NOT NULL OR merging IS NOT NULL THEN
            merging := sms_data.in_order(merging, old_lone);
            merged := sms_data.merge_messages(merging, most_reports);
            SELECT array_agg(id) INTO refused
            FROM unnest(merging) AS n CROSS JOIN unnest(coalesce(n.seen, ARRAY[n.report_id])) AS id
            WHERE id NOT IN (SELECT new.id FROM unnest(merged) AS new (id));
        END IF;
    END IF;

    IF cardinality(reports) > 0 THEN
        lone := lone || reports;
    END IF;
    IF refused IS NOT NULL THEN
        RETURN QUERY
            SELECT id, id = ANY (m.ids)
            FROM unnest(merging) AS n
            CROSS JOIN LATERAL (
                SELECT coalesce(known.seen, ARRAY[known.report_id]) AS ids
                FROM sms_data.message AS known
                WHERE known.message_id = n.message_id AND known.provider = n.provider
                      AND known.recipient_key = n.recipient_key
                OFFSET 0) AS m
            CROSS JOIN unnest(coalesce(n.seen, ARRAY[n.report_id])) AS id
            WHERE id IN (SELECT old.id FROM unnest(refused) AS old (id));
        lone := ARRAY(
            SELECT r FROM unnest(lone) AS r
            WHERE r.report_id NOT IN (SELECT old.id FROM unnest(refused) AS old (id)));
    END IF;

    IF cardinality(lone) > 0 THEN
        INSERT INTO sms_data.report (
            received_at, happened_at, report_id, segment, segments, message_id, provider, status, code, raw,
            remote_addr, recipient, country, sender, reason, detail, operator_code, reported_by, context, envelope_id)
        SELECT r.received_at, r.happened_at, r.report_id, r.segment, r.segments, r.message_id, r.provider, r.status,
               r.code, r.raw, r.remote_addr::inet, r.recipient, r.country, r.sender, r.reason, r.detail,
               r.operator_code, r.reported_by, r.context, r.envelope_id
        FROM unnest(lone) AS r;
    END IF;
END
$function$
;

CREATE OR REPLACE FUNCTION sms_data.store_submissions(submission_ids uuid[], message_ids text[], providers text[], recipients text[], countries text[], senders text[], segments smallint[], fees integer[], statuses text[], reasons text[], codes text[], details text[], correlations text[], contexts jsonb[], submitted_ats timestamp with time zone[], received_ats timestamp with time zone[], remote_addrs inet[], raws jsonb[])
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
    INSERT INTO sms_data.submission (
        submission_id, message_id, provider, recipient, country, sender, segments, fee, status, reason, code, detail,
        correlation, context, submitted_at, received_at, remote_addr, raw)
    SELECT * FROM unnest(submission_ids, message_ids, providers, recipients, countries, senders, segments, fees, statuses,
                         reasons, codes, details, correlations, contexts, submitted_ats, received_ats, remote_addrs, raws)
$function$
;

CREATE OR REPLACE FUNCTION sms_data.thin_counts(since timestamp with time zone, before timestamp with time zone, most integer)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    thinned integer;
BEGIN
    WITH crowded AS (
        SELECT c.hour, c.provider FROM sms_data.message_count AS c
        WHERE c.hour >= since AND c.hour < thin_counts.before
        GROUP BY c.hour, c.provider HAVING count(DISTINCT c.code) > most
    ), gone AS (
        DELETE FROM sms_data.message_count AS c USING crowded
        WHERE c.hour = crowded.hour AND c.provider = crowded.provider AND c.code <> ''
              AND NOT EXISTS (SELECT FROM sms_data.code AS known WHERE (known.provider, known.code) = (c.provider, c.code))
        RETURNING c.*
    ), added AS (
        INSERT INTO sms_data.message_count AS c
        SELECT hour, submitted_hour, provider, country, status, reason, '', accepted, reported,
               sum(messages), sum(reports), sum(segments), sum(fees), sum(requests)
        FROM gone GROUP BY 1, 2, 3, 4, 5, 6, 8, 9
        ON CONFLICT (hour, submitted_hour, provider, country, status, reason, code, accepted, reported) DO UPDATE
            SET messages = c.messages + excluded.messages, reports = c.reports + excluded.reports,
                segments = c.segments + excluded.segments, fees = c.fees + excluded.fees,
                requests = c.requests + excluded.requests
    )
    SELECT count(*) INTO thinned FROM gone;
    RETURN thinned;
END
$function$
;

CREATE OR REPLACE FUNCTION sms_data.time_bucket(seconds double precision)
 RETURNS smallint
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
    SELECT CASE WHEN seconds > 1 THEN ceil(ln(seconds) / ln(1.1::double precision))::smallint
                WHEN seconds <= 1 THEN 0::smallint END
$function$
;

CREATE OR REPLACE FUNCTION sms_data.unseen(a uuid[], b uuid[])
 RETURNS uuid[]
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
    SELECT coalesce(array_agg(id ORDER BY position), '{}')
    FROM unnest(b) WITH ORDINALITY AS given (id, position)
    WHERE NOT id = ANY (a)
$function$
;

CREATE OR REPLACE FUNCTION sms_data.utc_day(moment timestamp with time zone)
 RETURNS timestamp with time zone
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$ SELECT date_bin('1 day'::interval, moment, '2001-01-01 00:00+00'::timestamptz) $function$
;

CREATE OR REPLACE FUNCTION sms_data.utc_hour(moment timestamp with time zone)
 RETURNS timestamp with time zone
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$ SELECT date_bin('1 hour'::interval, moment, '2001-01-01 00:00+00'::timestamptz) $function$
;

CREATE VIEW sms.code AS
 SELECT provider,
    code,
    status,
    reason,
    final,
    meaning,
    advice
   FROM sms_data.code;

CREATE VIEW sms.daily AS
 SELECT day,
    provider,
    NULLIF(country, ''::text) AS country,
    status,
    NULLIF(reason, ''::text) AS reason,
    (status = ANY (ARRAY['expired'::text, 'deleted'::text, 'undeliverable'::text, 'rejected'::text, 'delivered'::text])) AS final,
    messages,
    taken,
    silent,
    reports,
    segments,
    fees,
    requests
   FROM ( SELECT message_day_count.day,
            message_day_count.provider,
            message_day_count.country,
            message_day_count.status,
            message_day_count.reason,
            message_day_count.messages,
            message_day_count.taken,
            message_day_count.silent,
            message_day_count.reports,
            message_day_count.segments,
            message_day_count.fees,
            message_day_count.requests
           FROM sms_data.message_day_count
        UNION ALL
         SELECT date_bin('1 day'::interval, message_delta.hour, '2001-01-01 00:00:00+00'::timestamp with time zone) AS date_bin,
            message_delta.provider,
            message_delta.country,
            message_delta.status,
            message_delta.reason,
            message_delta.messages,
                CASE
                    WHEN message_delta.accepted THEN message_delta.messages
                    ELSE (0)::bigint
                END AS "case",
                CASE
                    WHEN message_delta.reported THEN (0)::bigint
                    ELSE message_delta.messages
                END AS messages,
            message_delta.reports,
            message_delta.segments,
            message_delta.fees,
            message_delta.requests
           FROM sms_data.message_delta) counted;

CREATE VIEW sms.daily_codes AS
 SELECT day,
    provider,
    NULLIF(country, ''::text) AS country,
    status,
    NULLIF(reason, ''::text) AS reason,
    (status = ANY (ARRAY['expired'::text, 'deleted'::text, 'undeliverable'::text, 'rejected'::text, 'delivered'::text])) AS final,
    NULLIF(code, ''::text) AS code,
    messages,
    reports
   FROM ( SELECT code_day_count.day,
            code_day_count.provider,
            code_day_count.country,
            code_day_count.status,
            code_day_count.reason,
            code_day_count.code,
            code_day_count.messages,
            code_day_count.reports
           FROM sms_data.code_day_count
        UNION ALL
         SELECT date_bin('1 day'::interval, message_delta.hour, '2001-01-01 00:00:00+00'::timestamp with time zone) AS date_bin,
            message_delta.provider,
            message_delta.country,
            message_delta.status,
            message_delta.reason,
            message_delta.code,
            message_delta.messages,
            message_delta.reports
           FROM sms_data.message_delta) counted;

CREATE VIEW sms.daily_delivery_times AS
 SELECT day,
    provider,
    NULLIF(country, ''::text) AS country,
    power((1.1)::double precision, ((bucket)::double precision - (0.5)::double precision)) AS seconds,
    messages
   FROM ( SELECT delivery_time_day_count.day,
            delivery_time_day_count.provider,
            delivery_time_day_count.country,
            delivery_time_day_count.bucket,
            delivery_time_day_count.messages
           FROM sms_data.delivery_time_day_count
        UNION ALL
         SELECT date_bin('1 day'::interval, delivery_time_delta.hour, '2001-01-01 00:00:00+00'::timestamp with time zone) AS date_bin,
            delivery_time_delta.provider,
            delivery_time_delta.country,
            delivery_time_delta.bucket,
            delivery_time_delta.messages
           FROM sms_data.delivery_time_delta) counted;

CREATE VIEW sms.delivery_report AS
 SELECT report_id,
    provider,
    message_id,
    recipient,
    country,
    sender,
    segment,
    segments,
    status,
    reason,
    (status = ANY (ARRAY['expired'::text, 'deleted'::text, 'undeliverable'::text, 'rejected'::text, 'delivered'::text])) AS final,
    code,
    detail,
    operator_code,
    reported_by,
    COALESCE((context)::jsonb, ( SELECT e.context
           FROM sms_data.envelope e
          WHERE ((e.message_id = report.message_id) AND (e.provider = report.provider) AND (e.envelope_id = report.envelope_id)))) AS context,
    happened_at,
    received_at,
    remote_addr,
        CASE
            WHEN (envelope_id IS NULL) THEN (raw)::jsonb
            ELSE (COALESCE(( SELECT e.raw
               FROM sms_data.envelope e
              WHERE ((e.message_id = report.message_id) AND (e.provider = report.provider) AND (e.envelope_id = report.envelope_id))), '{}'::jsonb) || (raw)::jsonb)
        END AS raw
   FROM sms_data.report;

CREATE VIEW sms.delivery_times AS
 SELECT hour,
    provider,
    NULLIF(country, ''::text) AS country,
    power((1.1)::double precision, ((bucket)::double precision - (0.5)::double precision)) AS seconds,
    messages
   FROM sms_data.delivery_time_counted;

CREATE VIEW sms.hourly AS
 SELECT hour,
    submitted_hour,
    provider,
    NULLIF(country, ''::text) AS country,
    status,
    NULLIF(reason, ''::text) AS reason,
    (status = ANY (ARRAY['expired'::text, 'deleted'::text, 'undeliverable'::text, 'rejected'::text, 'delivered'::text])) AS final,
    NULLIF(code, ''::text) AS code,
    accepted,
    reported,
    messages,
    reports,
    segments,
    fees,
    requests
   FROM sms_data.message_counted;

CREATE VIEW sms.message AS
 SELECT provider,
    message_id,
    recipient,
    country,
    sender,
    status,
    reason,
    (status = ANY (ARRAY['expired'::text, 'deleted'::text, 'undeliverable'::text, 'rejected'::text, 'delivered'::text])) AS final,
    code,
    segments,
    segments_reported,
    COALESCE((context)::jsonb, ( SELECT e.context
           FROM sms_data.envelope e
          WHERE ((e.message_id = message.message_id) AND (e.provider = message.provider) AND (e.envelope_id = message.envelope_id)))) AS context,
    happened_at,
    first_received_at,
    COALESCE(last_received_at, first_received_at) AS last_received_at,
    submitted_at,
        CASE
            WHEN (status = 'delivered'::text) THEN (EXTRACT(epoch FROM (happened_at - submitted_at)))::double precision
            ELSE NULL::double precision
        END AS delivery_s
   FROM sms_data.message;

CREATE VIEW sms.overdue_message AS
 SELECT message.provider,
    message.message_id,
    message.recipient,
    message.country,
    message.sender,
    message.status,
    message.awaited_since AS submitted_at,
    (EXTRACT(epoch FROM (now() - message.awaited_since)))::double precision AS waiting_s,
    LEAST(reporting_lag.p99_s, (((reporting_window.hours)::numeric * 3600.0))::double precision) AS expected_s,
        CASE
            WHEN (message.awaited_since < (now() - make_interval(hours => reporting_window.hours))) THEN 'window'::text
            ELSE 'lag'::text
        END AS rule
   FROM ((sms_data.message
     JOIN sms_data.reporting_window USING (provider))
     LEFT JOIN sms_data.reporting_lag ON (((reporting_lag.provider = message.provider) AND (reporting_lag.country = COALESCE(message.country, ''::text)))))
  WHERE ((message.awaited_since IS NOT NULL) AND (message.awaited_since < (now() - make_interval(secs => LEAST(reporting_lag.p99_s, (((reporting_window.hours)::numeric * 3600.0))::double precision)))));

CREATE VIEW sms.receipt_statistics AS
 SELECT submitted_hour AS hour,
    provider,
    (COALESCE(sum(messages) FILTER (WHERE accepted), (0)::numeric))::bigint AS request_success_count,
    (COALESCE(sum(messages) FILTER (WHERE receipt), (0)::numeric))::bigint AS callback_count,
    (COALESCE(sum(messages) FILTER (WHERE (receipt AND (status = 'delivered'::text))), (0)::numeric))::bigint AS callback_success_count,
    (COALESCE(sum(messages) FILTER (WHERE (receipt AND (status <> 'delivered'::text))), (0)::numeric))::bigint AS callback_fail_count,
    (COALESCE(sum(messages) FILTER (WHERE (receipt AND (class = 'internal_error'::text))), (0)::numeric))::bigint AS internal_error_count,
    (COALESCE(sum(messages) FILTER (WHERE (receipt AND (class = 'invalid_number'::text))), (0)::numeric))::bigint AS invalid_number_count,
    (COALESCE(sum(messages) FILTER (WHERE (receipt AND (class = 'shutdown'::text))), (0)::numeric))::bigint AS shutdown_error_count,
    (COALESCE(sum(messages) FILTER (WHERE (receipt AND (class = 'black_list'::text))), (0)::numeric))::bigint AS black_list_count,
    (COALESCE(sum(messages) FILTER (WHERE (receipt AND (class = 'frequency_limit'::text))), (0)::numeric))::bigint AS frequency_limit_count,
    (COALESCE(sum(messages) FILTER (WHERE (receipt AND (class = 'other'::text))), (0)::numeric))::bigint AS other_failure_count
   FROM ( SELECT counted_1.submitted_hour,
            counted_1.provider,
            counted_1.status,
            counted_1.messages,
            counted_1.accepted,
            (counted_1.reported AND (counted_1.status = ANY (ARRAY['expired'::text, 'deleted'::text, 'undeliverable'::text, 'rejected'::text, 'delivered'::text]))) AS receipt,
                CASE
                    WHEN (counted_1.status <> 'delivered'::text) THEN COALESCE(failure_class.class, 'other'::text)
                    ELSE NULL::text
                END AS class
           FROM (sms_data.message_counted counted_1
             LEFT JOIN sms_data.failure_class ON ((failure_class.reason = counted_1.reason)))) counted
  GROUP BY submitted_hour, provider
 HAVING (sum(messages) <> (0)::numeric);

CREATE VIEW sms.rejected_payload AS
 SELECT rejected_id,
    provider,
    path,
    received_at,
    error,
    content_type,
    body,
    remote_addr,
    replayed_at
   FROM sms_data.rejected_payload;

CREATE VIEW sms.reply AS
 SELECT reply_id,
    provider,
    message_id,
    sender,
    recipient,
    body,
    sign,
    extend,
    sent_at,
    received_at,
    raw,
    remote_addr
   FROM sms_data.reply;

CREATE VIEW sms.send_statistics AS
 SELECT submitted_hour AS hour,
    provider,
    (sum(fees))::bigint AS fee_count,
    (sum(requests))::bigint AS request_count,
    (COALESCE(sum(requests) FILTER (WHERE accepted), (0)::numeric))::bigint AS request_success_count
   FROM sms_data.message_counted
  WHERE (requests <> 0)
  GROUP BY submitted_hour, provider
 HAVING (sum(requests) <> (0)::numeric);

CREATE VIEW sms.submission AS
 SELECT submission_id,
    provider,
    message_id,
    recipient,
    country,
    sender,
    segments,
    fee,
    status,
    reason,
    code,
    detail,
    correlation,
    context,
    submitted_at,
    received_at,
    remote_addr,
    raw
   FROM sms_data.submission;

CREATE VIEW sms_data.delivery_time_counted AS
 SELECT delivery_time_count.hour,
    delivery_time_count.provider,
    delivery_time_count.country,
    delivery_time_count.bucket,
    delivery_time_count.messages
   FROM sms_data.delivery_time_count
UNION ALL
 SELECT delivery_time_delta.hour,
    delivery_time_delta.provider,
    delivery_time_delta.country,
    delivery_time_delta.bucket,
    delivery_time_delta.messages
   FROM sms_data.delivery_time_delta;

CREATE VIEW sms_data.message_counted AS
 SELECT message_count.hour,
    message_count.submitted_hour,
    message_count.provider,
    message_count.country,
    message_count.status,
    message_count.reason,
    message_count.code,
    message_count.accepted,
    message_count.reported,
    message_count.messages,
    message_count.reports,
    message_count.segments,
    message_count.fees,
    message_count.requests
   FROM sms_data.message_count
UNION ALL
 SELECT message_delta.hour,
    message_delta.submitted_hour,
    message_delta.provider,
    message_delta.country,
    message_delta.status,
    message_delta.reason,
    message_delta.code,
    message_delta.accepted,
    message_delta.reported,
    message_delta.messages,
    message_delta.reports,
    message_delta.segments,
    message_delta.fees,
    message_delta.requests
   FROM sms_data.message_delta;

CREATE VIEW sms_data.partition AS
 SELECT (parent.relname)::text AS parent,
    (child.relname)::text AS name,
        CASE
            WHEN (child.relname ~ '_[0-9]{8}$'::text) THEN to_date("right"((child.relname)::text, 8), 'YYYYMMDD'::text)
            ELSE NULL::date
        END AS day
   FROM (((pg_inherits
     JOIN pg_class child ON ((child.oid = pg_inherits.inhrelid)))
     JOIN pg_class parent ON ((parent.oid = pg_inherits.inhparent)))
     JOIN sms_data.partitioned_table known ON ((known.name = parent.relname)))
  WHERE (parent.relnamespace = ('sms_data'::regnamespace)::oid);

CREATE VIEW sms_data.report_lag_counted AS
 SELECT report_lag_count.hour,
    report_lag_count.provider,
    report_lag_count.country,
    report_lag_count.bucket,
    report_lag_count.messages
   FROM sms_data.report_lag_count
UNION ALL
 SELECT report_lag_delta.hour,
    report_lag_delta.provider,
    report_lag_delta.country,
    report_lag_delta.bucket,
    report_lag_delta.messages
   FROM sms_data.report_lag_delta;

CREATE INDEX envelope_received_at ON sms_data.envelope USING brin (received_at) WITH (pages_per_range='32');
CREATE INDEX message_awaited_since ON sms_data.message USING btree (awaited_since) INCLUDE (provider, country) WHERE (awaited_since IS NOT NULL);
CREATE INDEX message_count_requests ON sms_data.message_count USING btree (submitted_hour) WHERE (requests <> 0);
CREATE INDEX message_count_submitted_hour ON sms_data.message_count USING btree (submitted_hour);
CREATE INDEX message_first_received_at ON sms_data.message USING btree (first_received_at);
CREATE INDEX rejected_payload_received_at ON ONLY sms_data.rejected_payload USING btree (received_at);
CREATE INDEX reply_received_at ON ONLY sms_data.reply USING btree (received_at);
CREATE INDEX reply_sender ON ONLY sms_data.reply USING btree (sender, received_at);
CREATE INDEX report_message_id ON ONLY sms_data.report USING hash (message_id);
CREATE INDEX report_received_at ON ONLY sms_data.report USING btree (received_at);
CREATE INDEX report_recipient ON ONLY sms_data.report USING btree (recipient) WHERE (recipient IS NOT NULL);
CREATE INDEX submission_correlation ON ONLY sms_data.submission USING btree (correlation) WHERE (correlation IS NOT NULL);
CREATE INDEX submission_message_id ON ONLY sms_data.submission USING hash (message_id);
CREATE INDEX submission_received_at ON ONLY sms_data.submission USING brin (received_at) WITH (pages_per_range='32');
CREATE INDEX submission_recipient ON ONLY sms_data.submission USING btree (recipient) WHERE (recipient IS NOT NULL);

CREATE TRIGGER count_days_deleted AFTER DELETE ON sms_data.delivery_time_count REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION sms_data.count_delivery_time_days();
CREATE TRIGGER count_days_inserted AFTER INSERT ON sms_data.delivery_time_count REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION sms_data.count_delivery_time_days();
CREATE TRIGGER count_days_updated AFTER UPDATE ON sms_data.delivery_time_count REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION sms_data.count_delivery_time_days();
CREATE TRIGGER count_inserted AFTER INSERT ON sms_data.message REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION sms_data.count_messages();
CREATE TRIGGER count_updated AFTER UPDATE ON sms_data.message REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION sms_data.count_changes();
CREATE TRIGGER count_days_deleted AFTER DELETE ON sms_data.message_count REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION sms_data.count_message_days();
CREATE TRIGGER count_days_inserted AFTER INSERT ON sms_data.message_count REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION sms_data.count_message_days();
CREATE TRIGGER count_days_updated AFTER UPDATE ON sms_data.message_count REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION sms_data.count_message_days();
CREATE TRIGGER count_inserted AFTER INSERT ON sms_data.submission REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION sms_data.count_submissions();

COMMENT ON VIEW sms.code IS 'What each platform''s status codes mean. A code that ends in * is a pattern.';
COMMENT ON COLUMN sms.code.provider IS 'Short name of the platform; the same code means different things at different platforms.';
COMMENT ON COLUMN sms.code.code IS 'The code, verbatim, or a pattern such as MA:*.';
COMMENT ON COLUMN sms.code.status IS 'The SMPP message state that the code stands for.';
COMMENT ON COLUMN sms.code.reason IS 'Why a message with this code did not arrive; null for delivered messages and for those under way.';
COMMENT ON COLUMN sms.code.final IS 'Whether no other state follows.';
COMMENT ON COLUMN sms.code.meaning IS 'What the code says, in a sentence.';
COMMENT ON COLUMN sms.code.advice IS 'What to do about it.';
COMMENT ON VIEW sms.daily IS 'Messages counted by day and state: sms.hourly, without its codes, added up by the day, for months and years. Exact at every moment, and to be added up with sum() as well.';
COMMENT ON COLUMN sms.daily.day IS 'Day (UTC) in which the first report about the messages, or their submission, arrived here.';
COMMENT ON COLUMN sms.daily.provider IS 'Short name of the platform.';
COMMENT ON COLUMN sms.daily.country IS 'Country of the recipients'' numbers, ISO 3166 alpha-2; null where unknown.';
COMMENT ON COLUMN sms.daily.status IS 'SMPP message state of the messages, as in sms.message.';
COMMENT ON COLUMN sms.daily.reason IS 'Why the messages did not arrive; null for delivered messages and for those under way.';
COMMENT ON COLUMN sms.daily.final IS 'Whether no other state follows this status.';
COMMENT ON COLUMN sms.daily.messages IS 'Number of messages.';
COMMENT ON COLUMN sms.daily.taken IS 'Number of these messages whose submission was handed over, with an answer that took them.';
COMMENT ON COLUMN sms.daily.silent IS 'Number of these messages about which there is no report.';
COMMENT ON COLUMN sms.daily.reports IS 'Number of different reports about these messages; a second, different answer to a submission counts as one.';
COMMENT ON COLUMN sms.daily.segments IS 'Number of segments of these messages, as far as any report has told.';
COMMENT ON COLUMN sms.daily.fees IS 'Segments that are charged for, by the answers to submissions: counted by the answer''s day and status.';
COMMENT ON COLUMN sms.daily.requests IS 'Number of submissions, counted as fees are.';
COMMENT ON VIEW sms.daily_codes IS 'Messages counted by day and code, for months and years: as sms.daily, and four times as many rows.';
COMMENT ON COLUMN sms.daily_codes.day IS 'Day (UTC) in which the first report about the messages, or their submission, arrived here.';
COMMENT ON COLUMN sms.daily_codes.provider IS 'Short name of the platform.';
COMMENT ON COLUMN sms.daily_codes.country IS 'Country of the recipients'' numbers, ISO 3166 alpha-2; null where unknown.';
COMMENT ON COLUMN sms.daily_codes.status IS 'SMPP message state of the messages, as in sms.message.';
COMMENT ON COLUMN sms.daily_codes.reason IS 'Why the messages did not arrive; null for delivered messages and for those under way.';
COMMENT ON COLUMN sms.daily_codes.final IS 'Whether no other state follows this status.';
COMMENT ON COLUMN sms.daily_codes.code IS 'The platform''s own code of the report that decided the state, as in sms.hourly.';
COMMENT ON COLUMN sms.daily_codes.messages IS 'Number of messages.';
COMMENT ON COLUMN sms.daily_codes.reports IS 'Number of different reports about these messages.';
COMMENT ON VIEW sms.daily_delivery_times IS 'How long deliveries took: sms.delivery_times added up by the day, for months and years.';
COMMENT ON COLUMN sms.daily_delivery_times.day IS 'Day (UTC) of submission.';
COMMENT ON COLUMN sms.daily_delivery_times.provider IS 'Short name of the platform.';
COMMENT ON COLUMN sms.daily_delivery_times.country IS 'Country of the recipients'' numbers, ISO 3166 alpha-2; null where unknown.';
COMMENT ON COLUMN sms.daily_delivery_times.seconds IS 'Seconds from submission to delivery: the middle of a step, as in sms.delivery_times.';
COMMENT ON COLUMN sms.daily_delivery_times.messages IS 'Number of messages.';
COMMENT ON VIEW sms.delivery_report IS 'Every delivery report as it was received and normalised: one row a report, resent ones once.';
COMMENT ON COLUMN sms.delivery_report.report_id IS 'Identity of the report: the same report has the same id, however often and by whichever way it comes.';
COMMENT ON COLUMN sms.delivery_report.provider IS 'Short name of the platform that reported.';
COMMENT ON COLUMN sms.delivery_report.message_id IS 'The platform''s id of the message, verbatim.';
COMMENT ON COLUMN sms.delivery_report.recipient IS 'The subscriber the message was sent to, in E.164 with +; null where the platform does not say enough.';
COMMENT ON COLUMN sms.delivery_report.country IS 'Country of the recipient''s number, ISO 3166 alpha-2; null where unknown.';
COMMENT ON COLUMN sms.delivery_report.sender IS 'Sender id or number of the message, where the platform repeats it.';
COMMENT ON COLUMN sms.delivery_report.segment IS 'Number of the segment of a long message that this report is about, from 1; null where the platform does not say.';
COMMENT ON COLUMN sms.delivery_report.segments IS 'Number of segments of the message; null where the platform does not say.';
COMMENT ON COLUMN sms.delivery_report.status IS 'SMPP message state in lower case: unknown, enroute, accepted, expired, deleted, undeliverable, rejected or delivered.';
COMMENT ON COLUMN sms.delivery_report.reason IS 'Why the message did not arrive; null for delivered messages and for those under way.';
COMMENT ON COLUMN sms.delivery_report.final IS 'Whether no other state follows this status.';
COMMENT ON COLUMN sms.delivery_report.code IS 'The platform''s own status code, verbatim; sms.code explains it.';
COMMENT ON COLUMN sms.delivery_report.detail IS 'The platform''s own text about the status, if it sent one.';
COMMENT ON COLUMN sms.delivery_report.operator_code IS 'Code of the network element behind the platform, passed through (Huawei orgCode).';
COMMENT ON COLUMN sms.delivery_report.reported_by IS 'Who made the report: platform, smsc or huawei; null where the platform does not say.';
COMMENT ON COLUMN sms.delivery_report.context IS 'The sender''s own correlation data, under the platform''s name for it (extend, CUSTOMER_BODY, ext).';
COMMENT ON COLUMN sms.delivery_report.happened_at IS 'When it happened, by the platform''s clock; null where the platform''s time is missing or malformed.';
COMMENT ON COLUMN sms.delivery_report.received_at IS 'When the report arrived here, by our own clock.';
COMMENT ON COLUMN sms.delivery_report.remote_addr IS 'Address of the client that sent the report.';
COMMENT ON COLUMN sms.delivery_report.raw IS 'The report as it came: every field, also those that nobody knows.';
COMMENT ON VIEW sms.delivery_times IS 'How long deliveries took, of messages whose submission was handed over: a histogram with steps of a tenth, to be added up with sum().';
COMMENT ON COLUMN sms.delivery_times.hour IS 'Hour (UTC) of submission.';
COMMENT ON COLUMN sms.delivery_times.provider IS 'Short name of the platform.';
COMMENT ON COLUMN sms.delivery_times.country IS 'Country of the recipients'' numbers, ISO 3166 alpha-2; null where unknown.';
COMMENT ON COLUMN sms.delivery_times.seconds IS 'Seconds from submission to delivery: the middle of a step, within 5 % of each message''s; all below one second count as one.';
COMMENT ON COLUMN sms.delivery_times.messages IS 'Number of messages.';
COMMENT ON VIEW sms.hourly IS 'Messages counted by hour and state, exact at every moment: several rows of one kind are to be added up with sum(), and one may be negative. Kept for longer than the messages.';
COMMENT ON COLUMN sms.hourly.hour IS 'Hour (UTC) in which the first report about the messages, or their submission, arrived here.';
COMMENT ON COLUMN sms.hourly.submitted_hour IS 'Hour (UTC) in which the messages were submitted; where that is unknown, as hour.';
COMMENT ON COLUMN sms.hourly.provider IS 'Short name of the platform.';
COMMENT ON COLUMN sms.hourly.country IS 'Country of the recipients'' numbers, ISO 3166 alpha-2; null where unknown.';
COMMENT ON COLUMN sms.hourly.status IS 'SMPP message state of the messages, as in sms.message.';
COMMENT ON COLUMN sms.hourly.reason IS 'Why the messages did not arrive; null for delivered messages and for those under way.';
COMMENT ON COLUMN sms.hourly.final IS 'Whether no other state follows this status.';
COMMENT ON COLUMN sms.hourly.code IS 'The platform''s own code of the report that decided the state, verbatim. Once the messages are gone: null for codes that are not in sms.code, in hours with more than a thousand codes.';
COMMENT ON COLUMN sms.hourly.accepted IS 'Whether the answer to the submission, as far as it was handed over, took the messages.';
COMMENT ON COLUMN sms.hourly.reported IS 'Whether there is at least one report about each message.';
COMMENT ON COLUMN sms.hourly.messages IS 'Number of messages.';
COMMENT ON COLUMN sms.hourly.reports IS 'Number of different reports about these messages; a second, different answer to a submission counts as one.';
COMMENT ON COLUMN sms.hourly.segments IS 'Number of segments of these messages, as far as any report has told.';
COMMENT ON COLUMN sms.hourly.fees IS 'Segments that are charged for, by the answers to submissions: counted in rows without messages, by the answer''s hour, status and code.';
COMMENT ON COLUMN sms.hourly.requests IS 'Number of submissions, counted as fees are.';
COMMENT ON VIEW sms.message IS 'What became of each message: one row a message, its state merged from its submission and all its reports, in any order.';
COMMENT ON COLUMN sms.message.provider IS 'Short name of the platform that carries the message.';
COMMENT ON COLUMN sms.message.message_id IS 'The platform''s id of the message, verbatim.';
COMMENT ON COLUMN sms.message.recipient IS 'The subscriber the message was sent to, in E.164 with +; null where the platform does not say enough.';
COMMENT ON COLUMN sms.message.country IS 'Country of the recipient''s number, ISO 3166 alpha-2; null where unknown.';
COMMENT ON COLUMN sms.message.sender IS 'Sender id or number of the message, where the platform repeats it.';
COMMENT ON COLUMN sms.message.status IS 'SMPP message state: failed as soon as one segment failed for good, delivered once every segment is, under way until then.';
COMMENT ON COLUMN sms.message.reason IS 'Why the message did not arrive; null for delivered messages and for those under way.';
COMMENT ON COLUMN sms.message.final IS 'Whether no other state follows this status, save that a delivery outranks a failure.';
COMMENT ON COLUMN sms.message.code IS 'The platform''s own code of the report that decided the state, verbatim; sms.code explains it.';
COMMENT ON COLUMN sms.message.segments IS 'Number of segments, as far as any report has told.';
COMMENT ON COLUMN sms.message.segments_reported IS 'Of how many segments there is at least one report.';
COMMENT ON COLUMN sms.message.context IS 'The sender''s own correlation data, under the platform''s name for it (extend, CUSTOMER_BODY, ext).';
COMMENT ON COLUMN sms.message.happened_at IS 'When the state came about, by the platform''s clock; null where that is unknown.';
COMMENT ON COLUMN sms.message.first_received_at IS 'When the first report about the message, or its submission, arrived here.';
COMMENT ON COLUMN sms.message.last_received_at IS 'When the last report that was not a repetition arrived here.';
COMMENT ON COLUMN sms.message.submitted_at IS 'When the message was handed to the platform; null for a message whose submission nobody told us.';
COMMENT ON COLUMN sms.message.delivery_s IS 'Seconds from submission to delivery; null until delivered, or where one of the two is unknown.';
COMMENT ON VIEW sms.overdue_message IS 'Messages that a platform took and has not told the end of, although it should have by now.';
COMMENT ON COLUMN sms.overdue_message.provider IS 'Short name of the platform.';
COMMENT ON COLUMN sms.overdue_message.message_id IS 'The platform''s id of the message, verbatim.';
COMMENT ON COLUMN sms.overdue_message.recipient IS 'The subscriber the message was sent to, in E.164 with +; null where unknown.';
COMMENT ON COLUMN sms.overdue_message.country IS 'Country of the recipient''s number, ISO 3166 alpha-2; null where unknown.';
COMMENT ON COLUMN sms.overdue_message.sender IS 'Sender id or number of the message, where the platform repeats it.';
COMMENT ON COLUMN sms.overdue_message.status IS 'The state that the message is known to be in; not a final one.';
COMMENT ON COLUMN sms.overdue_message.submitted_at IS 'When the message was handed to the platform.';
COMMENT ON COLUMN sms.overdue_message.waiting_s IS 'Seconds since then.';
COMMENT ON COLUMN sms.overdue_message.expected_s IS 'Seconds within which the end should have been told.';
COMMENT ON COLUMN sms.overdue_message.rule IS 'window: the platform''s reporting window is over, no report will come. lag: 99 of 100 messages of this platform to this country were faster of late.';
COMMENT ON VIEW sms.receipt_statistics IS 'Receipts (messages with a final report) by the hour of submission, in the terms of the platforms'' own statistics; each failed receipt is in one class.';
COMMENT ON COLUMN sms.receipt_statistics.hour IS 'Hour in which the messages were submitted; where that is unknown, in which their first report arrived.';
COMMENT ON COLUMN sms.receipt_statistics.provider IS 'Short name of the platform.';
COMMENT ON COLUMN sms.receipt_statistics.request_success_count IS 'Messages that the platform took, as far as their submission was handed over.';
COMMENT ON COLUMN sms.receipt_statistics.callback_count IS 'Messages with a receipt.';
COMMENT ON COLUMN sms.receipt_statistics.callback_success_count IS 'Receipts that say delivered.';
COMMENT ON COLUMN sms.receipt_statistics.callback_fail_count IS 'Receipts that say anything else that is final.';
COMMENT ON COLUMN sms.receipt_statistics.internal_error_count IS 'Failed receipts because a network element of the carrier''s failed or never told the outcome.';
COMMENT ON COLUMN sms.receipt_statistics.invalid_number_count IS 'Failed receipts because the number is malformed or nobody''s.';
COMMENT ON COLUMN sms.receipt_statistics.shutdown_error_count IS 'Failed receipts because the phone is off, out of coverage, suspended or faulty.';
COMMENT ON COLUMN sms.receipt_statistics.black_list_count IS 'Failed receipts because the recipient is on a blocklist or has unsubscribed.';
COMMENT ON COLUMN sms.receipt_statistics.frequency_limit_count IS 'Failed receipts because of a limit on how often one may send.';
COMMENT ON COLUMN sms.receipt_statistics.other_failure_count IS 'Failed receipts that fit none of the five classes: content, permission, balance, a cause that nobody stated.';
COMMENT ON VIEW sms.rejected_payload IS 'Bodies that could not be understood, in whole or in part: kept as they came, with the reason.';
COMMENT ON COLUMN sms.rejected_payload.rejected_id IS 'Identity of the rejected payload.';
COMMENT ON COLUMN sms.rejected_payload.provider IS 'Short name of the platform whose URL was called.';
COMMENT ON COLUMN sms.rejected_payload.path IS 'The callback URL''s path, without a token.';
COMMENT ON COLUMN sms.rejected_payload.received_at IS 'When the body arrived here, by our own clock.';
COMMENT ON COLUMN sms.rejected_payload.error IS 'What could not be understood, item by item in a batch; the understood items were stored.';
COMMENT ON COLUMN sms.rejected_payload.content_type IS 'The Content-Type header of the request; null where there was none.';
COMMENT ON COLUMN sms.rejected_payload.body IS 'The bytes of the body, as they came.';
COMMENT ON COLUMN sms.rejected_payload.remote_addr IS 'Address of the client that sent the body.';
COMMENT ON COLUMN sms.rejected_payload.replayed_at IS 'When the body was read again and understood; null until then.';
COMMENT ON VIEW sms.reply IS 'Mobile-originated messages: what subscribers sent to us.';
COMMENT ON COLUMN sms.reply.reply_id IS 'Identity of the reply: the same reply, sent again, has the same id.';
COMMENT ON COLUMN sms.reply.provider IS 'Short name of the platform that passed the reply on.';
COMMENT ON COLUMN sms.reply.message_id IS 'The platform''s id of the reply, where it has one; it has no link to a message that was sent.';
COMMENT ON COLUMN sms.reply.sender IS 'The subscriber who wrote, in E.164 with +; null where the platform does not say enough.';
COMMENT ON COLUMN sms.reply.recipient IS 'The channel number that was written to, with its extension.';
COMMENT ON COLUMN sms.reply.body IS 'The text of the reply.';
COMMENT ON COLUMN sms.reply.sign IS 'The SMS signature that the reply belongs to, where the platform says so.';
COMMENT ON COLUMN sms.reply.extend IS 'The extension of the channel number, where the platform says so apart.';
COMMENT ON COLUMN sms.reply.sent_at IS 'When the subscriber sent it, by the platform''s clock; null where that is unknown.';
COMMENT ON COLUMN sms.reply.received_at IS 'When the reply arrived here, by our own clock.';
COMMENT ON COLUMN sms.reply.raw IS 'The reply as it came: every field, also those that nobody knows.';
COMMENT ON COLUMN sms.reply.remote_addr IS 'Address of the client that passed the reply on.';
COMMENT ON VIEW sms.send_statistics IS 'Submissions by hour, in the terms of the platforms'' own statistics.';
COMMENT ON COLUMN sms.send_statistics.hour IS 'Hour of submission.';
COMMENT ON COLUMN sms.send_statistics.provider IS 'Short name of the platform.';
COMMENT ON COLUMN sms.send_statistics.fee_count IS 'Segments that are charged for.';
COMMENT ON COLUMN sms.send_statistics.request_count IS 'Messages handed to the platform.';
COMMENT ON COLUMN sms.send_statistics.request_success_count IS 'Messages that the platform took.';
COMMENT ON VIEW sms.submission IS 'What a platform answered when a message was handed to it, as the sending application told us.';
COMMENT ON COLUMN sms.submission.submission_id IS 'Identity of the submission: the same answer, handed over again, has the same id.';
COMMENT ON COLUMN sms.submission.provider IS 'Short name of the platform.';
COMMENT ON COLUMN sms.submission.message_id IS 'The platform''s id of the message, verbatim; made up (refused-…) where it refused the message without one.';
COMMENT ON COLUMN sms.submission.recipient IS 'The subscriber the message was sent to, in E.164 with +; null where the answer does not say enough.';
COMMENT ON COLUMN sms.submission.country IS 'Country of the recipient''s number, ISO 3166 alpha-2; null where unknown.';
COMMENT ON COLUMN sms.submission.sender IS 'Sender id or number of the message, where the answer repeats it.';
COMMENT ON COLUMN sms.submission.segments IS 'Number of segments the message was split into; null where the answer does not say.';
COMMENT ON COLUMN sms.submission.fee IS 'Number of segments that are charged for; 0 for a refused message.';
COMMENT ON COLUMN sms.submission.status IS 'enroute for a message that the platform took, rejected for one that it refused.';
COMMENT ON COLUMN sms.submission.reason IS 'Why the platform refused the message; null for one that it took.';
COMMENT ON COLUMN sms.submission.code IS 'The platform''s own result code, verbatim; sms.code explains it.';
COMMENT ON COLUMN sms.submission.detail IS 'The platform''s own text about the result, if it sent one.';
COMMENT ON COLUMN sms.submission.correlation IS 'The sending application''s own value for this request, if it gave one.';
COMMENT ON COLUMN sms.submission.context IS 'The sender''s own correlation data as the platform repeats it.';
COMMENT ON COLUMN sms.submission.submitted_at IS 'When the platform took or refused the message; where its answer names no time, when it was handed over to us.';
COMMENT ON COLUMN sms.submission.received_at IS 'When the submission was handed over to us, by our own clock.';
COMMENT ON COLUMN sms.submission.remote_addr IS 'Address of the client that handed it over.';
COMMENT ON COLUMN sms.submission.raw IS 'The platform''s answer about this message as it came: every field.';

GRANT EXECUTE ON FUNCTION sms.code_counts(timestamp with time zone,timestamp with time zone,interval) TO sms_reader;
GRANT EXECUTE ON FUNCTION sms.code_counts(timestamp with time zone,timestamp with time zone,interval) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms.delivery_percentiles(timestamp with time zone,timestamp with time zone,interval) TO sms_reader;
GRANT EXECUTE ON FUNCTION sms.delivery_percentiles(timestamp with time zone,timestamp with time zone,interval) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms.delivery_time_counts(timestamp with time zone,timestamp with time zone,interval) TO sms_reader;
GRANT EXECUTE ON FUNCTION sms.delivery_time_counts(timestamp with time zone,timestamp with time zone,interval) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms.message_counts(timestamp with time zone,timestamp with time zone,interval) TO sms_reader;
GRANT EXECUTE ON FUNCTION sms.message_counts(timestamp with time zone,timestamp with time zone,interval) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms.messages_to(text,timestamp with time zone) TO sms_reader;
GRANT EXECUTE ON FUNCTION sms.messages_to(text,timestamp with time zone) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.bucket_seconds(smallint) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.create_partitions(date) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.fold_counts(integer) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.in_order(sms_data.incoming_message[],sms_data.incoming_report[]) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.is_accepted(jsonb,smallint,text) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.is_reported(jsonb,smallint) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.make_room_for_rejected(bigint) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.merge_lone(sms_data.incoming_report[],integer) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.merge_messages(sms_data.incoming_message[],integer) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.merge_parts(jsonb,jsonb) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.message_state(jsonb,integer) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.only_part(smallint,text,text,text,timestamp with time zone,smallint) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.probe() TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.rank(text) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.rejected_bytes() TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.rejected_slot() TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.report_count(jsonb,smallint,uuid[]) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.store_envelopes(text[],text[],uuid[],timestamp with time zone[],jsonb[],jsonb[]) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.store_reports(sms_data.incoming_report[],sms_data.incoming_message[],sms_data.incoming_report[],integer,integer) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.store_submissions(uuid[],text[],text[],text[],text[],text[],smallint[],integer[],text[],text[],text[],text[],text[],jsonb[],timestamp with time zone[],timestamp with time zone[],inet[],jsonb[]) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.time_bucket(double precision) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.unseen(uuid[],uuid[]) TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.utc_hour(timestamp with time zone) TO sms_writer;
GRANT USAGE ON SCHEMA sms TO sms_reader;
GRANT USAGE ON SCHEMA sms TO sms_writer;
GRANT USAGE ON SCHEMA sms_data TO sms_writer;
GRANT SELECT ON TABLE sms.code TO sms_reader;
GRANT SELECT ON TABLE sms.code TO sms_writer;
GRANT SELECT ON TABLE sms.daily TO sms_reader;
GRANT SELECT ON TABLE sms.daily TO sms_writer;
GRANT SELECT ON TABLE sms.daily_codes TO sms_reader;
GRANT SELECT ON TABLE sms.daily_codes TO sms_writer;
GRANT SELECT ON TABLE sms.daily_delivery_times TO sms_reader;
GRANT SELECT ON TABLE sms.daily_delivery_times TO sms_writer;
GRANT SELECT ON TABLE sms.delivery_report TO sms_reader;
GRANT SELECT ON TABLE sms.delivery_report TO sms_writer;
GRANT SELECT ON TABLE sms.delivery_times TO sms_reader;
GRANT SELECT ON TABLE sms.delivery_times TO sms_writer;
GRANT SELECT ON TABLE sms.hourly TO sms_reader;
GRANT SELECT ON TABLE sms.hourly TO sms_writer;
GRANT SELECT ON TABLE sms.message TO sms_reader;
GRANT SELECT ON TABLE sms.message TO sms_writer;
GRANT SELECT ON TABLE sms.overdue_message TO sms_reader;
GRANT SELECT ON TABLE sms.overdue_message TO sms_writer;
GRANT SELECT ON TABLE sms.receipt_statistics TO sms_reader;
GRANT SELECT ON TABLE sms.receipt_statistics TO sms_writer;
GRANT SELECT ON TABLE sms.rejected_payload TO sms_reader;
GRANT SELECT ON TABLE sms.rejected_payload TO sms_writer;
GRANT SELECT ON TABLE sms.reply TO sms_reader;
GRANT SELECT ON TABLE sms.reply TO sms_writer;
GRANT SELECT ON TABLE sms.send_statistics TO sms_reader;
GRANT SELECT ON TABLE sms.send_statistics TO sms_writer;
GRANT SELECT ON TABLE sms.submission TO sms_reader;
GRANT SELECT ON TABLE sms.submission TO sms_writer;
GRANT DELETE, INSERT, SELECT, UPDATE ON TABLE sms_data.catalogue TO sms_writer;
GRANT DELETE, INSERT, SELECT, UPDATE ON TABLE sms_data.code TO sms_writer;
GRANT SELECT ON TABLE sms_data.code_day_count TO sms_writer;
GRANT SELECT ON TABLE sms_data.counts_only TO sms_writer;
GRANT SELECT ON TABLE sms_data.delivery_time_count TO sms_writer;
GRANT SELECT ON TABLE sms_data.delivery_time_counted TO sms_writer;
GRANT SELECT ON TABLE sms_data.delivery_time_day_count TO sms_writer;
GRANT SELECT ON TABLE sms_data.delivery_time_delta TO sms_writer;
GRANT INSERT, SELECT ON TABLE sms_data.envelope TO sms_writer;
GRANT SELECT ON TABLE sms_data.failure_class TO sms_writer;
GRANT SELECT ON TABLE sms_data.message TO sms_writer;
GRANT SELECT ON TABLE sms_data.message_count TO sms_writer;
GRANT SELECT ON TABLE sms_data.message_counted TO sms_writer;
GRANT SELECT ON TABLE sms_data.message_day_count TO sms_writer;
GRANT SELECT ON TABLE sms_data.message_delta TO sms_writer;
GRANT SELECT ON TABLE sms_data.partition TO sms_writer;
GRANT SELECT ON TABLE sms_data.partitioned_table TO sms_writer;
GRANT DELETE, INSERT, SELECT ON TABLE sms_data.rejected_payload TO sms_writer;
GRANT UPDATE ON TABLE sms_data.rejected_payload (replayed_at) TO sms_writer;
GRANT SELECT ON TABLE sms_data.rejected_payload_slot_0 TO sms_writer;
GRANT SELECT ON TABLE sms_data.rejected_payload_slot_1 TO sms_writer;
GRANT SELECT ON TABLE sms_data.rejected_payload_slot_2 TO sms_writer;
GRANT SELECT ON TABLE sms_data.rejected_payload_slot_3 TO sms_writer;
GRANT SELECT ON TABLE sms_data.rejected_payload_slot_4 TO sms_writer;
GRANT SELECT ON TABLE sms_data.rejected_payload_slot_5 TO sms_writer;
GRANT SELECT ON TABLE sms_data.rejected_payload_slot_6 TO sms_writer;
GRANT SELECT ON TABLE sms_data.rejected_payload_slot_7 TO sms_writer;
GRANT SELECT ON TABLE sms_data.rejected_ring TO sms_writer;
GRANT INSERT, SELECT ON TABLE sms_data.reply TO sms_writer;
GRANT INSERT, SELECT ON TABLE sms_data.reply_key TO sms_writer;
GRANT SELECT ON TABLE sms_data.report TO sms_writer;
GRANT SELECT ON TABLE sms_data.report_lag_count TO sms_writer;
GRANT SELECT ON TABLE sms_data.report_lag_counted TO sms_writer;
GRANT SELECT ON TABLE sms_data.report_lag_delta TO sms_writer;
GRANT DELETE, INSERT, SELECT, UPDATE ON TABLE sms_data.reporting_lag TO sms_writer;
GRANT DELETE, INSERT, SELECT, UPDATE ON TABLE sms_data.reporting_window TO sms_writer;
GRANT INSERT, SELECT ON TABLE sms_data.submission TO sms_writer;
