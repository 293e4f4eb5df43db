"""Signs callbacks as Huawei's platform does, for `receiver simulate` and for tests.

Written from the platform's description (API Request Signing Guide) and on purpose apart from `huawei_signature`, with
which it shares no line: two readings of one algorithm, each the other's check.
"""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from string import ascii_letters, digits
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

_UNRESERVED: Final = frozenset((ascii_letters + digits + "-._~").encode())
_REPLACED: Final = frozenset({"authorization", "x-sdk-date"})
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


def push_headers(url: str, body: bytes, content_type: str, *, access: str, secret: str, at: datetime) -> dict[str, str]:
    """All headers of a POST that the platform would send, with the same ones signed. `at` is aware."""
    headers = {"Connection": "Keep-Alive", "Content-Length": str(len(body)), "Content-Type": content_type}
    return sign("POST", url, headers, body, access=access, secret=secret, at=at)


def sign(
    method: str, url: str, headers: Mapping[str, str], body: bytes, *, access: str, secret: str, at: datetime
) -> dict[str, str]:
    """The headers to send: those given, `Host` where it is not among them, the date, and Authorization over them all.

    Headers that the client adds later are not signed; a change to a signed one breaks the signature.
    """
    date = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    given = {name: value for name, value in headers.items() if name.lower() not in _REPLACED}
    host = {} if any(name.lower() == "host" for name in given) else {"Host": _host(url)}
    sent = {**host, **given, "X-Sdk-Date": date}
    canonical, names = _canonical_request(method, url, sent, body)
    message = f"SDK-HMAC-SHA256\n{date}\n{sha256(canonical).hexdigest()}"
    signature = hmac.digest(secret.encode(), message.encode(), "sha256").hex()
    sent["Authorization"] = f"SDK-HMAC-SHA256 Access={access}, SignedHeaders={names}, Signature={signature}"
    return sent


def _canonical_request(method: str, url: str, headers: Mapping[str, str], body: bytes) -> tuple[bytes, str]:
    """The canonical request, and the list of the signed headers' names in it."""
    parts = urlsplit(url)
    lowered = sorted((name.lower(), value.strip(" \t")) for name, value in headers.items())
    names = ";".join(name for name, _ in lowered)
    lines = [method, _path(parts.path), _query(parts.query)]
    lines += [f"{name}:{value}" for name, value in lowered]
    lines += ["", names, sha256(body).hexdigest()]
    return "\n".join(lines).encode(), names


def _path(path: str) -> str:
    segments = unquote_to_bytes(path).split(b"/")
    if segments[-1]:
        segments.append(b"")
    return "/".join(map(_escaped, segments)) or "/"


def _query(query: str) -> str:
    values: dict[str, list[str]] = {}
    for parameter in filter(None, query.split("&")):
        name, _, value = parameter.partition("=")
        values.setdefault(_escaped(unquote_to_bytes(name)), []).append(_escaped(unquote_to_bytes(value)))
    return "&".join(f"{name}={value}" for name in sorted(values) for value in sorted(values[name]))


def _escaped(raw: bytes) -> str:
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in raw)


def _host(url: str) -> str:
    """`host:port`, without a port that is the scheme's own, as HTTP clients write it."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2].removesuffix(_DEFAULT_PORTS.get(parts.scheme, ""))
