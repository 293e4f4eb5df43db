"""How far downloads are, for the pages that started them."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal

_KNOWN: Final = 64
"""Downloads that are remembered, those that began last."""

_ID: Final = re.compile(r"[0-9a-f]{8,64}")

State = Literal["running", "done", "failed"]


@dataclass(slots=True)
class Progress:
    """Rows that were sent, and about how many there will be, if that is known."""

    rows: int = 0
    about: int | None = None
    state: State = "running"


class Downloads:
    """The downloads of a service. The page that starts one makes up its id, if it wants to ask for the progress."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Progress] = OrderedDict()
        self._transports: set[asyncio.Transport] = set()

    @contextmanager
    def running(self, name: str, transport: asyncio.Transport) -> Iterator[Progress]:
        """A download while the block runs; it has failed unless it says that it is done."""
        progress = Progress()
        if _ID.fullmatch(name):
            self._known[name] = progress
            self._known.move_to_end(name)
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        self._transports.add(transport)
        try:
            yield progress
        finally:
            self._transports.discard(transport)
            if progress.state == "running":
                progress.state = "failed"

    def of(self, name: str) -> Progress | None:
        """None for an id that is unknown, or no longer remembered."""
        return self._known.get(name)

    def abort(self) -> None:
        """Break all of them off."""
        for transport in list(self._transports):
            transport.abort()
