"""HTTP headers of refusals; the body is in the provider's own format (design, section 2)."""

from typing import Final

from aiohttp import hdrs

from receiver.providers.base import Verdict

RETRY_AFTER_S: Final = "5"

HEADERS: Final[dict[Verdict, dict[str, str]]] = {
    Verdict.METHOD_NOT_ALLOWED: {hdrs.ALLOW: "POST, HEAD"},
    Verdict.BUSY: {hdrs.RETRY_AFTER: RETRY_AFTER_S},
    # The rest of these bodies is not read, so the connection cannot be used again.
    Verdict.TOO_SLOW: {hdrs.CONNECTION: "close"},
    Verdict.TOO_LARGE: {hdrs.CONNECTION: "close"},
}


class HttpRefusal(Exception):
    """Ends the handling of a request with this answer."""

    def __init__(self, verdict: Verdict, description: str) -> None:
        super().__init__(description)
        self.verdict = verdict
        self.description = description
