"""One believable report, to see that reports come in."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from receiver.simulate.dialects import DIALECTS
from receiver.simulate.dialects.base import Event, Push

PREFIX: Final = "test-"
"""Begins the message's id: no platform's own does."""

_CALLING_CODE, _NATIONAL = 86, "15500000000"


def can_play(provider: str) -> bool:
    """Whether there is a dialect of this platform."""
    return provider in DIALECTS


def delivered(provider: str) -> Push:
    """The report that a message has arrived just now; each has an id of its own."""
    event = Event(
        message=uuid4(),
        serial=1,
        stage="delivered",
        pick=0.5,
        happened_at=datetime.now(UTC),
        country_code=_CALLING_CODE,
        national=_NATIONAL,
    )
    push = DIALECTS[provider].report([event])
    (message_id,) = push.message_ids
    named = PREFIX + message_id
    return replace(push, body=push.body.replace(message_id.encode(), named.encode()), message_ids=(named,))


def signed(provider: str, push: Push, url: str, access: str, secret: str) -> dict[str, str]:
    """The headers of a push that this key pair has signed, for the URL as the platform would call it."""
    sign = DIALECTS[provider].sign
    if sign is None:
        return {}
    return sign(url, push.body, push.content_type, access=access, secret=secret, at=datetime.now(UTC))
