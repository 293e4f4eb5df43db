"""Fetching reports from platforms that serve them on demand, each only once.

The platform deletes a report when it returns it, so each answer is on our disk before anything else is done, and in
PostgreSQL or the spool before the next call. One answer at a time is in progress.

One gap remains: the platform deletes a report as it sends the answer, and we have it once the answer is on our disk. A
process that is killed between these two moments, some milliseconds apart, loses that answer. We cannot close this gap,
as the API has no acknowledgement. It is logged (`pull.interrupted`, with the start of the call) and can be filled: the
platform returns one number's reports any number of times (`by_number`).
"""
