-- A report or a submission is unique by its message's row (`seen`), in the same transaction, so a primary key is not
-- needed. It was the largest index, and with message ids as random as UUIDs each new row changed another page of it. A
-- hash index finds the reports of a message as well, in a third of the space.

ALTER TABLE sms_data.report DROP CONSTRAINT report_pkey;
CREATE INDEX report_message_id ON sms_data.report USING hash (message_id);

ALTER TABLE sms_data.submission DROP CONSTRAINT submission_pkey;
CREATE INDEX submission_message_id ON sms_data.submission USING hash (message_id);
