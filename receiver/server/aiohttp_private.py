"""All that we use of aiohttp's names with an underscore, each under a name that says what it means to us.

They are those of `RequestHandler` in aiohttp 3.14; pyproject.toml has the ceiling, tests/unit/test_aiohttp_private.py
tells which of them moved.
"""

import asyncio
from typing import Any

from aiohttp import web


class RequestProtocol(web.RequestHandler):
    """aiohttp's side of a connection. What is public in it comes from `web.RequestHandler`."""

    __slots__ = ()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that it runs in."""
        return self._loop

    @property
    def heads_parsed(self) -> int:
        """How many requests' heads have come to their end, ever."""
        return self._request_count

    @property
    def has_queued(self) -> bool:
        """Whether there are requests whose heads are parsed, and that nobody has begun to work on."""
        return bool(self._messages)

    @property
    def last_queued_body(self) -> Any:  # noqa: ANN401 - a StreamReader, or aiohttp's stand-in for no body at all
        """The body of the last of them; `is_eof()` tells whether it has come to its end. Raises IndexError."""
        return self._messages[-1][1]

    @property
    def waits_for_request(self) -> bool:
        """Whether its loop over the requests does nothing but wait for the next one."""
        return self._waiter is not None

    @property
    def last_answer_at(self) -> float:
        """The loop's time when the last answer was done; aiohttp counts the keep-alive time from it."""
        return self._next_keepalive_close_time - self._keepalive_timeout

    def take_nothing(self) -> None:
        """Parse nothing of what comes from now on."""
        self._force_close = True
