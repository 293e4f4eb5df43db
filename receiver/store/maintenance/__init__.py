"""Periodic maintenance of the database: partitions, retention, counts, quota of rejected payloads, reporting lags."""
