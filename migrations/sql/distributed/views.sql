-- The views of 0001/views.sql that look into envelopes, by a join: where an id is asked for, the planner knows the envelope's
-- shard from it too, and asks no other. Of a subquery it does not.
CREATE OR REPLACE VIEW sms.delivery_report AS
    SELECT report.report_id,
           report.provider,
           report.message_id,
           report.recipient,
           report.country,
           report.sender,
           report.segment,
           report.segments,
           report.status,
           report.reason,
           report.status IN ('expired', 'deleted', 'undeliverable', 'rejected', 'delivered') AS final,
           report.code,
           report.detail,
           report.operator_code,
           report.reported_by,
           coalesce(report.context::jsonb, e.context) AS context,
           report.happened_at,
           report.received_at,
           report.remote_addr,
           CASE WHEN report.envelope_id IS NULL THEN report.raw::jsonb
                ELSE coalesce(e.raw, '{}') || report.raw::jsonb END AS raw
    FROM sms_data.report
    LEFT JOIN sms_data.envelope AS e
           ON (e.message_id, e.provider, e.envelope_id) = (report.message_id, report.provider, report.envelope_id);

CREATE OR REPLACE VIEW sms.message AS
    SELECT message.provider,
           message.message_id,
           message.recipient,
           message.country,
           message.sender,
           message.status,
           message.reason,
           message.status IN ('expired', 'deleted', 'undeliverable', 'rejected', 'delivered') AS final,
           message.code,
           message.segments,
           message.segments_reported,
           coalesce(message.context::jsonb, e.context) AS context,
           message.happened_at,
           message.first_received_at,
           coalesce(message.last_received_at, message.first_received_at) AS last_received_at,
           message.submitted_at,
           CASE WHEN message.status = 'delivered'
                THEN extract(epoch FROM message.happened_at - message.submitted_at)::double precision END AS delivery_s
    FROM sms_data.message
    LEFT JOIN sms_data.envelope AS e
           ON (e.message_id, e.provider, e.envelope_id) = (message.message_id, message.provider, message.envelope_id);
