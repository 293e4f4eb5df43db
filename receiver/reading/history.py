"""Everything that is known about one message: its state for each recipient, its submission, its reports."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from receiver.reading.reader import Reader
from receiver.reading.rows import MESSAGE, REPORT, SUBMISSION, Message, Report, Submission, message

MAX_MESSAGES: Final = 100
MAX_SUBMISSIONS: Final = 100
MAX_REPORTS: Final = 1_000

MAX_JSON: Final = 16_384
"""Bytes of a row's `raw`, and of its `context`. Strangers may send hundreds of reports of a megabyte."""

MAX_JSON_IN_ALL: Final = 512 * 1_024
"""Bytes of all rows' `raw`, and of their `context`: the reports of a message of 255 segments, three of each."""

_MARGIN: Final = timedelta(minutes=1)
_JSON: Final = ("raw", "context")


def _bounded(row: type[NamedTuple]) -> str:
    """The columns, for a SELECT from such rows with a WINDOW `told`; for too long a JSON one that says so."""
    spelled = {}
    for name in _JSON:
        size = f"octet_length({name}::text)"
        so_far = f"sum({size}) FILTER (WHERE {size} <= {MAX_JSON}) OVER told"
        spelled[name] = (
            f"CASE WHEN {size} <= {MAX_JSON} AND {so_far} <= {MAX_JSON_IN_ALL} THEN {name}::text"
            f" WHEN {name} IS NOT NULL THEN jsonb_build_object('(left out)', {size} || ' bytes')::text END AS {name}"
        )
    return ", ".join(spelled.get(name, name) for name in row._fields)


_MESSAGES: Final = f"""
SELECT {MESSAGE} FROM sms.message
WHERE message_id = $1 AND ($2::text IS NULL OR provider = $2) AND ($3::text[] IS NULL OR recipient = ANY($3))
ORDER BY provider, recipient LIMIT {MAX_MESSAGES}
"""
_REPORTS: Final = f"""
SELECT {_bounded(Report)}
FROM (SELECT {REPORT} FROM sms.delivery_report
      WHERE message_id = $1 AND provider = ANY($2::text[]) AND ($3::text[] IS NULL OR recipient = ANY($3))
            AND received_at >= $4 AND received_at <= $5
      ORDER BY received_at, segment, report_id LIMIT {MAX_REPORTS}) AS reports
WINDOW told AS (ORDER BY received_at, segment, report_id)
ORDER BY received_at, segment, report_id
"""
_SUBMISSIONS: Final = f"""
SELECT {_bounded(Submission)}
FROM (SELECT {SUBMISSION} FROM sms.submission
      WHERE message_id = $1 AND provider = ANY($2::text[]) AND ($3::text[] IS NULL OR recipient = ANY($3))
            AND received_at >= $4
      ORDER BY received_at, submission_id LIMIT {MAX_SUBMISSIONS}) AS handed
WINDOW told AS (ORDER BY received_at, submission_id)
ORDER BY received_at, submission_id
"""


class History(NamedTuple):
    """Of one message id: `messages` has a row for each recipient that the id spans; reports in order of arrival."""

    messages: list[Message]
    submissions: list[Submission]
    reports: list[Report]

    def masked(self) -> "History":
        """Without numbers: `raw` and `context` are as the platform sent them, and go."""
        return History(
            [row.masked() for row in self.messages],
            [row.masked() for row in self.submissions],
            [row.masked() for row in self.reports],
        )


async def history(
    reader: Reader, message_id: str, *, provider: str | None = None, numbers: Sequence[str] = ()
) -> History | None:
    """None where no message has the id. Raises ReadError.

    Where the id spans several recipients and `numbers` (E.164) are some of them, it is of these alone: of a large
    batch not all are read.
    """
    if "\0" in f"{message_id}{provider}":  # PostgreSQL has no such text, and takes none
        return None
    whole = await _history(reader, message_id, provider, None)
    if whole is None or len(whole.messages) == 1 or not numbers:
        return whole
    return await _history(reader, message_id, provider, list(numbers)) or whole


async def _history(
    reader: Reader, message_id: str, provider: str | None, recipients: list[str] | None
) -> History | None:
    rows = await reader.fetch(_MESSAGES, message_id, provider, recipients)
    if not rows:
        return None
    messages = [message(row) for row in rows]
    providers = sorted({row.provider for row in messages})
    first = min(row.first_received_at for row in messages) - _MARGIN
    last = max(row.last_received_at for row in messages) + _MARGIN
    reports, submissions = await asyncio.gather(
        reader.fetch(_REPORTS, message_id, providers, recipients, first, last),
        reader.fetch(_SUBMISSIONS, message_id, providers, recipients, first),
    )
    return History(messages, [Submission(*row) for row in submissions], [Report(*row) for row in reports])


def by_segment(reports: list[Report]) -> dict[int | None, list[Report]]:
    """The reports of each segment, in order of arrival; None: of a message that is not told of by segments."""
    found: dict[int | None, list[Report]] = {}
    for row in sorted(reports, key=_place):
        found.setdefault(row.segment, []).append(row)
    return found


def _place(row: Report) -> tuple[int, datetime]:
    return row.segment or 0, row.received_at
