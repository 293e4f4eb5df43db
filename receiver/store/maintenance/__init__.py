"""Periodic maintenance of the database: partitions, quota of rejected payloads, reporting lags."""
