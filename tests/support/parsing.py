"""The adapters as the tests call them: with every item of a body built."""

from dataclasses import replace

from receiver.providers import INTAKES
from receiver.providers.base import Parsed, Request
from receiver.providers.payload import PayloadError


def parse(path: str, body: bytes) -> Parsed:
    """What the adapter of this path makes of a body. Raises PayloadError."""
    parsed = INTAKES[path](Request(path=path, body=body))
    reports, replies, submissions = list(parsed.reports), list(parsed.replies), list(parsed.submissions)
    return replace(parsed, reports=reports, replies=replies, submissions=submissions)


def parsed(path: str, body: bytes) -> Parsed:
    """Like the listener: what is no PayloadError goes on."""
    try:
        return parse(path, body)
    except PayloadError as error:
        return Parsed(faults=[str(error)])


def understood(parsed: Parsed) -> bool:
    """Whether there is anything to store."""
    return bool(parsed.reports or parsed.replies or parsed.submissions)
