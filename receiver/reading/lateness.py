"""When the end of messages should have been told."""

from typing import Final, NamedTuple

from receiver.reading.lists import MAX_OVERDUE
from receiver.reading.reader import Reader
from receiver.reading.rows import Message

AGES: Final = (("1h", 3_600.0), ("6h", 21_600.0), ("24h", 86_400.0), ("3d", 259_200.0))
"""Ends of the ages by which overdue messages are counted: as a period is written, and in seconds."""

_OF_MESSAGE: Final = """
SELECT waiting_s, expected_s, rule FROM sms.overdue_message
WHERE message_id = $1 AND provider = $2 AND recipient IS NOT DISTINCT FROM $3 LIMIT 1
"""
_BY_AGE: Final = f"""
SELECT provider, width_bucket(waiting_s, $1::double precision[]) AS age, count(*) AS messages
FROM (SELECT provider, waiting_s FROM sms.overdue_message LIMIT {MAX_OVERDUE}) AS overdue
GROUP BY 1, 2 ORDER BY 1, 2
"""


class Lateness(NamedTuple):
    """Seconds since its submission, and those within which its end should have been told; the rule that says so."""

    waiting_s: float
    expected_s: float
    rule: str


async def of_message(reader: Reader, message: Message) -> Lateness | None:
    """None for a message that is not overdue. Raises ReadError."""
    row = await reader.fetchrow(_OF_MESSAGE, message.message_id, message.provider, message.recipient)
    return Lateness(*row) if row else None


async def by_age(reader: Reader) -> dict[str, list[int]]:
    """Overdue messages of each platform by age, one number more than there are `AGES`; counted up to `MAX_OVERDUE`."""
    found: dict[str, list[int]] = {}
    for row in await reader.fetch(_BY_AGE, [seconds for _, seconds in AGES]):
        found.setdefault(row["provider"], [0] * (len(AGES) + 1))[row["age"]] = row["messages"]
    return found
