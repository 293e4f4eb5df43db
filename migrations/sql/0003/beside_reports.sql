-- What is written in one transaction with reports (0001/store_reports.sql): the arrays are the columns of the rows. On Citus
-- other bodies take their place (distributed/beside_reports.sql). Here they run with the caller's rights.

CREATE FUNCTION sms_data.store_envelopes(
    message_ids text[], providers text[], envelope_ids uuid[], received_ats timestamptz[], contexts jsonb[], raws jsonb[]
) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO sms_data.envelope (message_id, provider, envelope_id, received_at, context, raw)
    SELECT * FROM unnest(message_ids, providers, envelope_ids, received_ats, contexts, raws)
    ON CONFLICT DO NOTHING
$$;

CREATE FUNCTION sms_data.store_submissions(
    submission_ids uuid[], message_ids text[], providers text[], recipients text[], countries text[], senders text[],
    segments smallint[], fees integer[], statuses text[], reasons text[], codes text[], details text[],
    correlations text[], contexts jsonb[], submitted_ats timestamptz[], received_ats timestamptz[], remote_addrs inet[],
    raws jsonb[]
) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO sms_data.submission (
        submission_id, message_id, provider, recipient, country, sender, segments, fee, status, reason, code, detail,
        correlation, context, submitted_at, received_at, remote_addr, raw)
    SELECT * FROM unnest(submission_ids, message_ids, providers, recipients, countries, senders, segments, fees, statuses,
                         reasons, codes, details, correlations, contexts, submitted_ats, received_ats, remote_addrs, raws)
$$;

REVOKE ALL ON FUNCTION sms_data.store_envelopes, sms_data.store_submissions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sms_data.store_envelopes, sms_data.store_submissions TO sms_writer;
