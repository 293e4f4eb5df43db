"""The adapters as the tests call them: with every item of a body built."""

from receiver.providers import INTAKES
from receiver.providers.base import Parsed, Request
from receiver.providers.payload import PayloadError
from support.cases import Case


def parse(path: str, body: bytes, query: str = "", content_type: str | None = None) -> Parsed:
    """What the adapter of this path makes of a body. Raises PayloadError."""
    parsed = INTAKES[path](Request(path=path, body=body, query=query, content_type=content_type))
    reports, replies, submissions = list(parsed.reports), list(parsed.replies), list(parsed.submissions)
    return parsed._replace(reports=reports, replies=replies, submissions=submissions)


def parsed(path: str, body: bytes, query: str = "", content_type: str | None = None) -> Parsed:
    """Like the listener: what is no PayloadError goes on."""
    try:
        return parse(path, body, query, content_type)
    except PayloadError as error:
        return Parsed(faults=[str(error)])


def parsed_case(case: Case) -> Parsed:
    """What the adapter makes of a fixture."""
    return parsed(case.expected["endpoint"], case.body, case.query, case.expected["content_type"])


def understood(parsed: Parsed) -> bool:
    """Whether there is anything to store."""
    return bool(parsed.reports or parsed.replies or parsed.submissions)
