"""Sessions of people at the ops listener: a signed cookie that expires, and the token that its forms carry (CSRF).

A session is anonymous, for a form that anybody may send, or signed in. Nothing is kept of one, but that it was ended.
"""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from aiohttp import hdrs, web
from itsdangerous import BadSignature, Signer, TimestampSigner

from receiver.server.protocol import is_https

SESSION_S: Final = 12 * 3_600
"""A session ends so long after its beginning, used or not."""

_COOKIES: Final = {True: "receiver", False: "receiver-form"}
"""By whether the session is signed in. Two names: a page that is opened by a link from elsewhere comes without a
`SameSite=Strict` cookie, and the anonymous session of its log-in form must not take the place of the signed-in one."""

_SECURE_PREFIX: Final = "__Host-"
"""Browsers take a cookie of such a name over HTTPS alone, and for one host alone (RFC 6265bis, section 4.1.3.2)."""

_MAX_COOKIE: Final = 200
_MAX_ENDED: Final = 4_096

_KEY_ROUNDS: Final = 200_000
"""PBKDF2 makes it slow to guess the ops token from a cookie; it is done once, at the start."""

_ANONYMOUS, _SIGNED_IN = "a", "s"


class Session(NamedTuple):
    """`expires_at` is in Unix seconds; `cookie` is the signed value."""

    id: str
    is_signed_in: bool
    expires_at: float
    cookie: str


class _Cookies(TimestampSigner):
    """Signs with the time of a clock that is given."""

    clock: Callable[[], float] = time.time

    def get_timestamp(self) -> int:
        return int(self.clock())


class Sessions:
    """The sessions of one listener. Their key comes from the ops token: another token ends all of them.

    Without a token the key is random, and the sessions end with the process.
    """

    def __init__(self, token: bytes | None, clock: Callable[[], float] = time.time) -> None:
        self.token = token
        key = secrets.token_bytes() if token is None else _stretched(token)
        self._cookies = _Cookies(key, salt=b"receiver cookie", key_derivation="hmac", digest_method=hashlib.sha256)
        self._cookies.clock = clock
        self._forms = Signer(key, salt=b"receiver form", key_derivation="hmac", digest_method=hashlib.sha256)
        self._clock = clock
        self._ended: dict[str, float] = {}
        self._streams: dict[str, set[asyncio.Timeout]] = {}

    def is_token(self, given: str) -> bool:
        """Whether this is the ops token. The time that it takes tells nothing of the token, nor of its length."""
        if self.token is None:
            return False
        digests = (hashlib.sha256(one).digest() for one in (given.encode(errors="replace"), self.token))
        return hmac.compare_digest(*digests)

    def begin(self, *, signed_in: bool) -> Session:
        """A new session."""
        kind = _SIGNED_IN if signed_in else _ANONYMOUS
        session = self.read(self._cookies.sign(f"{kind}{secrets.token_urlsafe(16)}").decode())
        if session is None:
            raise RuntimeError("the clock was set back just now")
        return session

    def read(self, cookie: str) -> Session | None:
        """The session of a cookie; None for one that is forged, expired, or of a session that was ended."""
        if len(cookie) > _MAX_COOKIE:
            return None
        try:
            content, begun = self._cookies.unsign(cookie, max_age=SESSION_S, return_timestamp=True)
        except (BadSignature, UnicodeError):
            return None
        kind, name = chr(content[0]), content[1:].decode()
        if name in self._ended:
            return None
        return Session(name, kind == _SIGNED_IN, begun.timestamp() + SESSION_S, cookie)

    def end(self, session: Session) -> None:
        """End a session before its time, with the answers that are still being sent to it."""
        now = self._clock()
        self._ended = {name: until for name, until in self._ended.items() if until >= now}
        while len(self._ended) >= _MAX_ENDED:
            del self._ended[next(iter(self._ended))]
        self._ended[session.id] = session.expires_at
        for stream in self._streams.get(session.id, ()):
            stream.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def lasting(self, session: Session) -> AsyncIterator[asyncio.Timeout]:
        """Ends the block with TimeoutError when the session ends: a stream does not outlive it."""
        async with asyncio.timeout(max(0.0, session.expires_at - self._clock())) as stream:
            streams = self._streams.setdefault(session.id, set())
            streams.add(stream)
            try:
                yield stream
            finally:
                streams.discard(stream)
                if not streams:
                    self._streams.pop(session.id, None)

    def form_token(self, session: Session) -> str:
        """The token of the session's forms."""
        return self._forms.get_signature(session.id).decode()

    def is_form_token(self, session: Session, given: str) -> bool:
        """Whether a form was made for this session."""
        return hmac.compare_digest(self.form_token(session).encode(), given.encode(errors="replace"))


SESSIONS: Final = web.AppKey("sessions", Sessions)

_SESSION: Final[web.RequestKey[Session | None]] = web.RequestKey("session")
_NEW_SESSION: Final = web.RequestKey("new_session", Session)


def session_of(request: web.Request) -> Session | None:
    """The session that the request came with."""
    if _SESSION not in request:
        cookies = (request.cookies.get(_cookie_name(request, is_signed_in=one), "") for one in _COOKIES)
        sessions = (request.app[SESSIONS].read(cookie) for cookie in cookies)
        request[_SESSION] = next(filter(None, sessions), None)
    return request[_SESSION]


def has_cookie(request: web.Request) -> bool:
    """Whether the request has a cookie of ours, a good one or not."""
    return any(_cookie_name(request, is_signed_in=one) in request.cookies for one in _COOKIES)


def form_token(request: web.Request) -> str:
    """The token for a form in the answer; a browser that has no session gets an anonymous one with it."""
    sessions = request.app[SESSIONS]
    session = session_of(request) or request.get(_NEW_SESSION) or begin_session(request, signed_in=False)
    return sessions.form_token(session)


def begin_session(request: web.Request, *, signed_in: bool) -> Session:
    """Give the browser a new session with the answer."""
    request[_NEW_SESSION] = session = request.app[SESSIONS].begin(signed_in=signed_in)
    return session


def drop_cookie(request: web.Request, response: web.StreamResponse) -> None:
    """Have the browser forget its session."""
    _set_cookie(request, response, _cookie_name(request, is_signed_in=True), "", 0)


async def give_cookie(request: web.Request, response: web.StreamResponse) -> None:
    """Signal handler for `on_response_prepare`: sets the cookie of a session that this request has begun."""
    session = request.get(_NEW_SESSION)
    if session is not None:
        name = _cookie_name(request, is_signed_in=session.is_signed_in)
        _set_cookie(request, response, name, session.cookie, SESSION_S)


def _set_cookie(request: web.Request, response: web.StreamResponse, name: str, value: str, max_age_s: int) -> None:
    """As a header, as aiohttp has written its cookies when that signal comes."""
    cookie = f"{name}={value}; Max-Age={max_age_s}; Path=/; HttpOnly; SameSite=Strict"
    response.headers.add(hdrs.SET_COOKIE, f"{cookie}; Secure" if is_https(request) else cookie)


def _stretched(token: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", token, b"receiver ops sessions", _KEY_ROUNDS)


def _cookie_name(request: web.Request, *, is_signed_in: bool) -> str:
    """With the port in it: browsers keep one set of cookies for all ports of a host (RFC 6265, section 8.5)."""
    port = request.host.rpartition(":")[2]
    name = _COOKIES[is_signed_in]
    name = f"{name}-{port}" if port.isascii() and port.isdigit() else name
    return f"{_SECURE_PREFIX}{name}" if is_https(request) else name
