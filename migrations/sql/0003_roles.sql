-- The privileges of sms_writer on the ring. It marks payloads as replayed, and purges them.
GRANT SELECT, INSERT, DELETE ON sms_data.rejected_payload TO sms_writer;
GRANT UPDATE (replayed_at) ON sms_data.rejected_payload TO sms_writer;
GRANT SELECT ON sms_data.rejected_ring TO sms_writer;
GRANT EXECUTE ON FUNCTION sms_data.rejected_slot(), sms_data.rejected_bytes(),
                          sms_data.make_room_for_rejected(bigint) TO sms_writer;

-- PUBLIC may execute a new function until that is revoked (hand_over.sql does, for all existing ones).
ALTER DEFAULT PRIVILEGES FOR ROLE sms_owner REVOKE ALL ON FUNCTIONS FROM PUBLIC;
