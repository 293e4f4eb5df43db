"""Before the first request: is there a receiver that would take it? If not, why, and what to do."""

import os
import ssl
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp import hdrs

from receiver.errors import OperatorError
from receiver.settings import variable
from receiver.simulate.send import Target

_TAKES: Final = frozenset((HTTPStatus.OK, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED))
"""A server that does not know HEAD may know POST."""

_ADVICE: Final = {
    HTTPStatus.UNAUTHORIZED: "wants a signature: give its key pair with --sign",
    HTTPStatus.FORBIDDEN: f"does not let this address call: it has to be in {variable('allowed_addresses')}, or the "
    f"platform is one that needs a client certificate ({variable('tls_client_ca')}), which is not sent here",
    HTTPStatus.NOT_FOUND: f"has no such callback URL: one of its {variable('callback_tokens')} has to be given with "
    "--token, where it has any; or no receiver listens there",
}

_IS_OPS: Final = (
    "is the ops listener of a receiver, which takes no callbacks: "
    f"give the address of the other one with --url ({variable('port')})"
)


class NothingAnswers(OperatorError):
    """No receiver takes callbacks at the address. The text says what to do."""


async def probe(target: Target, path: str) -> None:
    """Ask with HEAD whether the callback URL of `path` is there. Raises NothingAnswers."""
    timeout = aiohttp.ClientTimeout(total=target.timeout_s)
    base = shown_address(target.url)
    try:
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as client:
            async with client.head(target.address(path), allow_redirects=False) as response:
                if response.status in _TAKES:
                    return
                elsewhere = response.headers.get(hdrs.LOCATION)
            is_ops = response.status == HTTPStatus.NOT_FOUND and await _is_ops(client, target.url)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NothingAnswers(f"{base} {_trouble(error, target)}") from error
    raise NothingAnswers(f"{base} {_IS_OPS if is_ops else advice(response.status, elsewhere)}")


def advice(status: int, elsewhere: str | None = None) -> str:
    """What a wrong status means, and what to do; to be put behind the address."""
    if elsewhere is not None:
        return f"answers {status} and points to {shown_address(elsewhere)}: give that with --url"
    known = _ADVICE.get(HTTPStatus(status)) if status in set(HTTPStatus) else None
    return f"answers {status}: it {known}" if known else f"answers {status}: see its log"


def shown_address(url: str) -> str:
    """Scheme, host and port: what stands behind them may be a token."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else "another path"


async def _is_ops(client: aiohttp.ClientSession, url: str) -> bool:
    async with client.get(f"{url.rstrip('/')}/healthz", allow_redirects=False) as response:
        return response.status == HTTPStatus.OK and response.content_type == "application/json"


def _trouble(error: Exception, target: Target) -> str:
    """The most special class comes first."""
    for kinds, text in _TROUBLES:
        if isinstance(error, kinds):
            return text.format(timeout=f"{target.timeout_s:g}", reason=_reason(error))
    return f"cannot be reached ({_reason(error)}): correct --url"


def _reason(error: Exception) -> str:
    """In the words of the system, without the address and the line number that Python adds."""
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    if isinstance(cause, ssl.SSLError):
        return str(getattr(cause, "verify_message", "") or cause.reason or cause).lower().replace("_", " ")
    if isinstance(cause, OSError) and cause.errno is not None:
        return os.strerror(cause.errno)
    return str(cause) or type(cause).__name__


_TROUBLES: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...]] = (
    (aiohttp.ClientConnectorDNSError, "cannot be reached, for its name is not resolved: correct --url"),
    (
        aiohttp.ClientConnectorCertificateError,
        "has a certificate that is not trusted ({reason}): call it by its own name, with its issuer in SSL_CERT_FILE",
    ),
    (aiohttp.ClientConnectorSSLError, "does not speak TLS as it should ({reason}): is it http:// instead?"),
    (aiohttp.ClientConnectorError, "cannot be reached ({reason}): start `receiver serve`, or correct --url"),
    (TimeoutError, "does not answer within {timeout} s: correct --url, or see that no firewall stands between"),
    (aiohttp.ClientResponseError, "does not speak HTTP: correct --url"),
    (
        (aiohttp.ClientConnectionError, OSError),
        "closes the connection without an answer ({reason}): is it https:// instead, or another program?",
    ),
)
