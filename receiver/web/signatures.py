"""Pushes that their platform signs: judged by their heads before a byte of a body is read, by their bodies after it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

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
        keys = self.keys[provider]
        path, _, query = request.raw_path.partition("?")
        head = SignedHead(
            method=request.method,
            raw_path=path,
            raw_query=query,
            headers=tuple(request.headers.items()),
            public_url=f"{self.public_url or f'{request.scheme}://{request.host}'}{request.raw_path}",
        )
        try:
            return VERIFIERS[provider](head, keys, now)
        except SignatureError as error:
            if self.keep_unsigned:
                return _nothing(error)
            raise


def _nothing(error: SignatureError) -> CheckBody:
    def refuse(_body: bytes) -> None:
        raise error

    return refuse
