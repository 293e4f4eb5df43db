"""A proxy in front of receivers, running with a file of deploy/ as it is shipped, but for what a test has to adapt."""

import asyncio
import json
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from support.wire import Answer, Wire

SERVER_NAME: Final = "callbacks.example.com"
TIMEOUT_S: Final = 30

_KEYS: Final = {"rsa": ["rsa:2048"], "ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]}


class Place(Protocol):
    """A receiver behind it."""

    port: int
    ops_port: int


@dataclass(frozen=True)
class Front:
    """`folder` has its certificates and its logs; `access_log` is a file in it, of JSON lines."""

    port: int
    folder: Path
    access_log: str

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def authorities(self) -> Path:
        """The certificates, each its own authority, in one file."""
        return self.folder / "authorities.pem"

    @asynccontextmanager
    async def connected(self, suite: str | None = None, local: str = "127.0.0.1") -> AsyncIterator[Wire]:
        """A connection by TLS; with a suite, by TLS 1.2 and that suite alone. `local` is the caller's address."""
        context = ssl.create_default_context(cafile=str(self.authorities))
        if suite:
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers(suite)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=context, server_hostname=SERVER_NAME, local_addr=(local, 0)
        )
        try:
            yield Wire(reader, writer)
        finally:
            writer.transport.abort()

    async def send(self, request: bytes, local: str = "127.0.0.1") -> Answer:
        """A request on a connection of its own."""
        async with self.connected(local=local) as wire:
            await wire.send(request)
            return await wire.answer()

    def told(self) -> list[dict[str, Any]]:
        """What the access log says of each request."""
        lines = (self.folder / self.access_log).read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def logs(self) -> str:
        """Every line of every log."""
        return "".join(file.read_text(errors="replace") for file in self.folder.glob("*.log"))


def make_certificates(folder: Path) -> None:
    """`rsa.pem` and `ecdsa.pem`, certificates that signed themselves, with their keys, `rsa.key` and `ecdsa.key`."""
    subject = ["-subj", f"/CN={SERVER_NAME}", "-addext", f"subjectAltName=DNS:{SERVER_NAME}"]
    for kind, key in _KEYS.items():
        files = ["-keyout", f"{kind}.key", "-out", f"{kind}.pem"]
        command = ["openssl", "req", "-x509", "-nodes", *subject, "-newkey", *key, *files]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=TIMEOUT_S)
    authorities = "".join((folder / f"{kind}.pem").read_text() for kind in _KEYS)
    (folder / "authorities.pem").write_text(authorities, encoding="ascii")


def adapted(shipped: Path, changes: Mapping[str, str]) -> str:
    """The shipped file with each of these replaced by its value."""
    text = shipped.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text, f"the test replaces {old!r}, which is no longer there"
        text = text.replace(old, new)
    return text


def check(command: Sequence[str], complaint: str) -> None:
    """What the program says of the file: it takes it, and has no complaint."""
    checked = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    said = checked.stdout + checked.stderr
    assert checked.returncode == 0, said
    assert complaint not in said, said


@contextmanager
def started(command: Sequence[str], front: Front, log: str) -> Iterator[Front]:
    """The program while the block runs, once it takes connections; `log` is a file for what it prints."""
    with (front.folder / log).open("ab") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        _wait_for(process, front)
        yield front
    finally:
        process.terminate()
        process.wait(TIMEOUT_S)


def _wait_for(process: "subprocess.Popen[bytes]", front: Front) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        assert process.poll() is None, front.logs()
        with suppress(OSError), socket.create_connection(("127.0.0.1", front.port), TIMEOUT_S):
            return
        assert time.monotonic() < deadline, front.logs()
        time.sleep(0.02)
