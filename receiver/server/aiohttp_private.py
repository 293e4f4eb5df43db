"""Every private name of aiohttp that we use, each under a public name of ours.

They are attributes of `RequestHandler` in aiohttp 3.14; pyproject.toml has the ceiling, and
tests/unit/test_aiohttp_private.py names those that changed.
"""

import asyncio
from typing import Any

from aiohttp import web


class RequestProtocol(web.RequestHandler):
    """aiohttp's side of a connection; the public part of it is that of `web.RequestHandler`."""

    __slots__ = ()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of the connection."""
        return self._loop

    @property
    def heads_parsed(self) -> int:
        """Number of request heads that were parsed to their end since the connection was made."""
        return self._request_count

    @property
    def has_queued(self) -> bool:
        """Whether there are requests with a parsed head that aiohttp has not begun to handle."""
        return bool(self._messages)

    @property
    def last_queued_body(self) -> Any:  # noqa: ANN401 - a StreamReader, or aiohttp's stand-in for no body at all
        """Body of the last queued request; `is_eof()`: it is complete. Raises IndexError if none is queued."""
        return self._messages[-1][1]

    @property
    def waits_for_request(self) -> bool:
        """Whether aiohttp's loop over the requests is idle, waiting for the next one."""
        return self._waiter is not None

    @property
    def last_answer_at(self) -> float:
        """Loop time at which the last answer was written; aiohttp counts the keep-alive time from it."""
        return self._next_keepalive_close_time - self._keepalive_timeout

    def stop_parsing(self) -> None:
        """Discard all data that is received from now on."""
        self._force_close = True
