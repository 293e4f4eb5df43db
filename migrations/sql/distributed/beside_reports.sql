-- As 0003/beside_reports.sql has them, with their owner's rights: Citus lets one user change a shard in one transaction, and
-- the reports are written by the owner. What a trigger counts elsewhere is counted here.

CREATE OR REPLACE FUNCTION sms_data.store_envelopes(
    message_ids text[], providers text[], envelope_ids uuid[], received_ats timestamptz[], contexts jsonb[], raws jsonb[]
) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET citus.max_adaptive_executor_pool_size = 1
AS $$
BEGIN
    INSERT INTO sms_data.envelope (message_id, provider, envelope_id, received_at, context, raw)
    SELECT * FROM unnest(message_ids, providers, envelope_ids, received_ats, contexts, raws)
    ON CONFLICT DO NOTHING;
END
$$;

CREATE OR REPLACE FUNCTION sms_data.store_submissions(
    submission_ids uuid[], message_ids text[], providers text[], recipients text[], countries text[], senders text[],
    segments smallint[], fees integer[], statuses text[], reasons text[], codes text[], details text[],
    correlations text[], contexts jsonb[], submitted_ats timestamptz[], received_ats timestamptz[], remote_addrs inet[],
    raws jsonb[]
) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET citus.max_adaptive_executor_pool_size = 1
AS $$
BEGIN
    INSERT INTO sms_data.submission (
        submission_id, message_id, provider, recipient, country, sender, segments, fee, status, reason, code, detail,
        correlation, context, submitted_at, received_at, remote_addr, raw)
    SELECT * FROM unnest(submission_ids, message_ids, providers, recipients, countries, senders, segments, fees, statuses,
                         reasons, codes, details, correlations, contexts, submitted_ats, received_ats, remote_addrs, raws)
    ON CONFLICT DO NOTHING;  -- there is none (store_reports.sql)
    PERFORM sms_data.check_countable(array_agg(concat(provider, country, status, reason, code)))
    FROM unnest(providers, countries, statuses, reasons, codes) AS row (provider, country, status, reason, code);
    INSERT INTO sms_data.message_delta (
        hour, submitted_hour, provider, country, status, reason, code, accepted, reported, messages, reports, segments,
        fees, requests, anchor)
    SELECT sms_data.utc_hour(received_at), sms_data.utc_hour(submitted_at), provider, coalesce(country, ''), status,
           coalesce(reason, ''), code, status = 'enroute', false, 0, 0, 0, coalesce(sum(fee), 0), count(*),
           (SELECT sms_data.some_anchor())
    FROM unnest(received_ats, submitted_ats, providers, countries, statuses, reasons, codes, fees)
             AS row (received_at, submitted_at, provider, country, status, reason, code, fee)
    GROUP BY 1, 2, 3, 4, 5, 6, 7;
END
$$;

-- An instance that still inserts them itself would leave them uncounted: it has to connect anew, and to be of this version.
REVOKE INSERT ON sms_data.envelope, sms_data.submission FROM sms_writer;
