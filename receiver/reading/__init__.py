"""Asks PostgreSQL for people: the pages and the commands that only read. Of the schema, the views `sms.*` alone."""
