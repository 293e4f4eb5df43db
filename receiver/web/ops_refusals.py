"""Refusals of the ops listener: JSON for a program, and the same words on a page for a browser."""

import json
from typing import Final

from aiohttp import hdrs, web

_JSON: Final = "application/json"


class Refusal(web.HTTPError):
    """Ends the handling of a request; `why` is for people and has nothing of the request in it."""

    status_code = 403

    def __init__(self, why: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(text=json.dumps({"error": why}), content_type=_JSON, headers=headers)
        self.why = why


class NotSignedIn(Refusal):
    """Neither the bearer token nor a session."""

    status_code = 401

    def __init__(self, why: str = "the bearer token is missing or wrong") -> None:
        super().__init__(why, {hdrs.WWW_AUTHENTICATE: 'Bearer realm="receiver"'})


class TooManyLogins(Refusal):
    """Wrong tokens have come too often."""

    status_code = 429


def wants_page(request: web.Request) -> bool:
    """Whether a browser asks: programs do not name HTML in `Accept`."""
    return "text/html" in request.headers.get(hdrs.ACCEPT, "")
