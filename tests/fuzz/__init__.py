"""Fuzzing: whole payloads and what a broken network, a broken client or a bad mind makes of them (`make fuzz`)."""
