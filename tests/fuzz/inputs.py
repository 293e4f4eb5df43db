"""What is sent: the fixtures, mutated. The same seed, part and number make the same bytes again."""

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from support.cases import FOLDER, cases
from support.dialects import content_type, good_body

from fuzz.mutate import mutated
from receiver.providers import ENDPOINTS, INTAKES, SUBMISSIONS, provider_of, url_path

_HEADERS: Final = (
    *("Content-Length: -1", "Content-Length: 5, 5", "Content-Length: +7", "Content-Length: 99999999999999999999"),
    *("Transfer-Encoding: chunked", "Transfer-Encoding: gzip", "Transfer-Encoding: chunked, identity", "TE: trailers"),
    *("Content-Encoding: gzip", "Content-Encoding: br, \xe4", "Content-Type: text/html; charset=utf-7"),
    *("Content-Type:", "Content-Type: multipart/form-data", "Host: another.test", "Host:", "Upgrade: websocket"),
    *("Expect: 100-continue", "Expect: miracles", "Connection: close", "Connection: Upgrade", "Range: bytes=0-"),
    *(": nameless", "no colon", "X-Folded: a\r\n b", "X-Nul: \0", "X-Long: " + "x" * 9_000, "Cookie: a=b; \xff=\xff"),
    *("X-Forwarded-For: 203.0.113.7, nonsense", "Forwarded: for=_hidden;proto=\x01"),
    *("Authorization: SDK-HMAC-SHA256 x", "X-Sdk-Date: 20260101T000000Z"),
)
_METHODS: Final = (
    *("POST",) * 60,
    *("GET", "HEAD", "PUT", "OPTIONS", "DELETE", "TRACE", "CONNECT", "PATCH", "brew", "POST\0"),
)
_VERSIONS: Final = ("HTTP/1.1",) * 60 + ("HTTP/1.0", "HTTP/2.0", "HTTP/9", "http/1.1", "", "HTTP/1.1 HTTP/1.1")


@dataclass(frozen=True)
class Given:
    """A body for a path of `INTAKES`."""

    path: str
    body: bytes


class Inputs:
    """The fixtures by path, and the dice for each number."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._bodies = {path: [b"", b"{}", b"[]"] for path in INTAKES}
        for path in ENDPOINTS:
            self._bodies[path].append(good_body(path, "fuzz"))
        for case in cases():
            # Those that are understood twice: a mutation leads further in.
            times = 2 if case.expected["http_status"] == 200 else 1
            self._bodies[case.expected["endpoint"]] += [case.body] * times
        for path in SUBMISSIONS:
            self._bodies[path] += _samples(FOLDER / "submissions" / provider_of(path))
        self._all = [body for bodies in self._bodies.values() for body in bodies]

    def dice(self, part: str, number: int) -> Random:
        """For one case."""
        return Random(f"{self._seed} {part} {number}")

    def given(self, dice: Random, paths: list[str]) -> Given:
        """A mutated body, mostly one that belongs to the path."""
        path = dice.choice(paths)
        bodies = self._bodies[path] if dice.random() < 0.9 else self._all
        return Given(path, mutated(dice, dice.choice(bodies), self._all))

    def raw(self, dice: Random, paths: list[str]) -> bytes:
        """What may come over a connection: requests, several at once, with something wrong in the head or anywhere."""
        requests = b"".join(self._request(dice, paths) for _ in range(dice.choice((1, 1, 1, 2, 5))))
        return mutated(dice, requests, self._all) if dice.random() < 0.5 else requests

    def _request(self, dice: Random, paths: list[str]) -> bytes:
        given = self.given(dice, paths)
        path = url_path(given.path) + dice.choice(
            ("",) * 6 + ("/", "/token", "?a=b", "/%00", "/%ff", "//..", "?" + "x" * 9_000)
        )
        lines = [f"{dice.choice(_METHODS)} {path} {dice.choice(_VERSIONS)}", "Host: receiver.test"]
        lines += dice.sample(_HEADERS, dice.choice((0, 0, 0, 0, 1, 2, 4)))
        chunked = dice.random() < 0.2
        lines.append("Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(given.body)}")
        head = "\r\n".join((*lines, "", "")).encode("latin-1")
        return head + (_chunks(dice, given.body) if chunked else given.body)


def _samples(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(folder.glob("*")) if file.is_file()]


def _chunks(dice: Random, body: bytes) -> bytes:
    size = dice.choice((1, 7, 500)) if len(body) < 2_000 else 10_000
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def media_type(path: str) -> str:
    """What the sender would say."""
    return content_type(path) if path in ENDPOINTS else "application/json"
