"""Signed pushes: the head is verified before any of the body is read, the body after that."""

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
    """Key pairs by platform. With `keep_unsigned`, bodies with a wrong signature are read too, and kept as rejected.

    `public_url` is the platforms' URL of `/`, without a trailing slash; None if requests arrive with it unchanged.
    """

    keys: Mapping[ProviderName, Mapping[str, str]]
    keep_unsigned: bool
    public_url: str | None = None

    def verify_head(self, request: web.BaseRequest, provider: ProviderName, now: datetime) -> CheckBody:
        """Verify the head for a platform with keys. Returns the check of the body. Raises SignatureError."""
        try:
            return VERIFIERS[provider](self._head(request), self.keys[provider], now)
        except SignatureError as error:
            if self.keep_unsigned:
                return _refusing(error)
            raise

    def _head(self, request: web.BaseRequest) -> SignedHead:
        """The head as the platform sent it, before a proxy changed `Host` and the prefix of the path."""
        headers = tuple(request.headers.items())
        path, _, query = request.raw_path.partition("?")
        origin = f"{request.scheme}://{request.host}"
        if self.public_url:
            origin, parts = self.public_url, urlsplit(self.public_url)
            headers = tuple((name, parts.netloc if name.lower() == "host" else value) for name, value in headers)
            path = parts.path + path
        public_url = origin + request.raw_path
        return SignedHead(method=request.method, raw_path=path, raw_query=query, headers=headers, public_url=public_url)


def _refusing(error: SignatureError) -> CheckBody:
    def refuse(_body: bytes) -> None:
        raise error

    return refuse
