GRANT SELECT ON sms.daily, sms.daily_codes, sms.daily_delivery_times TO sms_reader, sms_writer;
GRANT SELECT ON sms_data.message_day_count, sms_data.code_day_count, sms_data.delivery_time_day_count TO sms_writer;
GRANT EXECUTE ON FUNCTION sms.message_counts, sms.code_counts, sms.delivery_time_counts TO sms_reader, sms_writer;
