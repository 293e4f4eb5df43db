"""Fetching reports from platforms that hand them out on demand, each only once.

A report that such a platform has handed out is gone there, so the rule is: on our disk before anything else, in
PostgreSQL or the spool before the next call. One answer at a time is in hand.

What remains: the platform forgets a report as it sends the answer, and we have it once the answer is on our disk. A
process killed between these two moments, some milliseconds apart, loses that one answer. Nothing on our side of the
wire can close this gap, for the API has no acknowledgement. So it is made known (`pull.interrupted`, with the time
since when), and can be filled: the platform tells of one number's reports again and again (`by_number`).
"""
