"""TC3-HMAC-SHA256, from the description of the algorithm: what a server does to check a request.

Written apart from the SDK that signs, so that the two can't share a mistake.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

ALGORITHM = "TC3-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    rf"{ALGORITHM} Credential=(?P<id>[^/]+)/(?P<date>\d{{4}}-\d\d-\d\d)/(?P<service>\w+)/tc3_request, "
    r"SignedHeaders=(?P<headers>[\w;-]+), Signature=(?P<signature>[0-9a-f]{64})"
)
NEEDED = {"content-type", "host"}


@dataclass(frozen=True)
class Claim:
    """What the `Authorization` header says."""

    secret_id: str
    date: str
    service: str
    signed_headers: list[str]
    signature: str


def claim(authorization: str) -> Claim | None:
    """None for a header that is not of the algorithm's form."""
    match = _AUTHORIZATION.fullmatch(authorization)
    if match is None:
        return None
    return Claim(match["id"], match["date"], match["service"], match["headers"].split(";"), match["signature"])


def is_genuine(
    said: Claim, secret_key: str, method: str, headers: Mapping[str, str], timestamp: str, body: bytes
) -> bool:
    """Whether who sent this knows the key. `headers` have names in lower case; path `/`, no query."""
    if not set(said.signed_headers) >= NEEDED or said.date != f"{datetime.fromtimestamp(int(timestamp), UTC):%Y-%m-%d}":
        return False
    lines = [method, "/", ""]
    lines += [f"{name}:{headers[name].strip().lower()}" for name in sorted(said.signed_headers)]
    lines += ["", ";".join(sorted(said.signed_headers)), hashlib.sha256(body).hexdigest()]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    scope = f"{said.date}/{said.service}/tc3_request"
    key = f"TC3{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    expected = hmac.new(key, f"{ALGORITHM}\n{timestamp}\n{scope}\n{digest}".encode(), "sha256").hexdigest()
    return hmac.compare_digest(expected, said.signature)
