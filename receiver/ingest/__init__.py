"""The central act: an inbound is parsed, kept, logged and answered."""
