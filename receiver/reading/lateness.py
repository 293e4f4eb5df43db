"""When the end of a message should have been told."""

from typing import Final, NamedTuple

from receiver.reading.reader import Reader
from receiver.reading.rows import Message

_OF_MESSAGE: Final = """
SELECT waiting_s, expected_s, rule FROM sms.overdue_message
WHERE message_id = $1 AND provider = $2 AND recipient IS NOT DISTINCT FROM $3 LIMIT 1
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
