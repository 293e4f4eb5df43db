"""One callback as it was received: parsed now, or spooled and parsed later with the same outcome."""

from datetime import datetime
from typing import NamedTuple


class Inbound(NamedTuple):
    """A request whose body was read to its end.

    `path` is the part after `/callback/`, without a token; `query` the part after the `?` if the endpoint reads it,
    percent-encoded ASCII. `received_at` is aware, by our own clock; `remote_addr` an IP address as text, or None.
    `correlation` is the sending application's own id for a submission. With a `skip_parsing_reason` the body is not
    parsed but kept as rejected, for this reason.
    """

    path: str
    body: bytes
    content_type: str | None
    received_at: datetime
    remote_addr: str | None
    request_id: str
    correlation: str | None = None
    skip_parsing_reason: str | None = None
    query: str = ""

    @property
    def target(self) -> str:
        """Path and query in one text, as stored beside the body."""
        return f"{self.path}?{self.query}" if self.query else self.path
