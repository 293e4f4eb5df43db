"""Pushes that their platform signs: judged by their heads before a byte of a body is read, by their bodies after it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from aiohttp import web

from receiver.providers import VERIFIERS
from receiver.providers.base import CheckBody, SignatureError, SignedHead
from receiver.report import ProviderName


@dataclass(frozen=True, slots=True)
class Signatures:
    """The key pairs by platform. With `keep_unsigned`, bodies that are not signed are read too, to be looked at.

    `public_url` is where platforms reach `/`, without a slash at its end; None where that is the URL of the request.
    """

    keys: Mapping[ProviderName, Mapping[str, str]]
    keep_unsigned: bool
    public_url: str | None = None

    def judge(self, request: web.Request, provider: ProviderName, now: datetime) -> CheckBody:
        """The check that the body must pass, of a platform with keys. Raises SignatureError if it need not be read."""
        try:
            return VERIFIERS[provider](self._head(request), self.keys[provider], now)
        except SignatureError as error:
            if self.keep_unsigned:
                return _nothing(error)
            raise

    def _head(self, request: web.Request) -> SignedHead:
        """The head as the platform sent it: what a proxy does to `Host` and to the path's prefix is undone."""
        headers = tuple(request.headers.items())
        path, _, query = request.raw_path.partition("?")
        origin = f"{request.scheme}://{request.host}"
        if self.public_url:
            origin, parts = self.public_url, urlsplit(self.public_url)
            headers = tuple((name, parts.netloc if name.lower() == "host" else value) for name, value in headers)
            path = parts.path + path
        public_url = origin + request.raw_path
        return SignedHead(method=request.method, raw_path=path, raw_query=query, headers=headers, public_url=public_url)


def _nothing(error: SignatureError) -> CheckBody:
    def refuse(_body: bytes) -> None:
        raise error

    return refuse
