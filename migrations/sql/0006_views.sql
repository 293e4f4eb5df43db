-- The views show the fields of a row's envelope as if they were in the row. An envelope is looked up by its key, and
-- only if the column is selected.

CREATE OR REPLACE VIEW sms.delivery_report AS
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
           status IN ('expired', 'deleted', 'undeliverable', 'rejected', 'delivered') AS final,
           code,
           detail,
           operator_code,
           reported_by,
           coalesce(context, (SELECT e.context FROM sms_data.envelope AS e
                              WHERE (e.message_id, e.provider, e.envelope_id)
                                    = (report.message_id, report.provider, report.envelope_id))) AS context,
           happened_at,
           received_at,
           remote_addr,
           CASE WHEN envelope_id IS NULL THEN raw
                ELSE coalesce((SELECT e.raw FROM sms_data.envelope AS e
                               WHERE (e.message_id, e.provider, e.envelope_id)
                                     = (report.message_id, report.provider, report.envelope_id)), '{}') || raw END AS raw
    FROM sms_data.report;

CREATE OR REPLACE VIEW sms.message AS
    SELECT provider,
           message_id,
           recipient,
           country,
           sender,
           status,
           reason,
           status IN ('expired', 'deleted', 'undeliverable', 'rejected', 'delivered') AS final,
           code,
           segments,
           segments_reported,
           coalesce(context::jsonb, (SELECT e.context FROM sms_data.envelope AS e
                                     WHERE (e.message_id, e.provider, e.envelope_id)
                                           = (message.message_id, message.provider, message.envelope_id))) AS context,
           happened_at,
           first_received_at,
           last_received_at,
           submitted_at,
           CASE WHEN status = 'delivered' THEN extract(epoch FROM happened_at - submitted_at)::double precision END
               AS delivery_s
    FROM sms_data.message;
