"""nginx with deploy/nginx/receiver.conf: the file as it is shipped, but for addresses, certificates and log files."""

import asyncio
import json
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from support.cluster import free_port
from support.command import CHECKOUT
from support.wire import Answer, Wire

PACKAGES: Final = ("nginx", "libpcre2-8-0", "libssl3", "zlib1g", "libcrypt1")
SERVER_NAME: Final = "callbacks.example.com"

_SHIPPED: Final = CHECKOUT / "deploy" / "nginx" / "receiver.conf"
_UPSTREAM: Final = "    server 127.0.0.1:{port} max_fails=0;\n"
_SHIPPED_PORTS: Final = (8091, 8092)
_TIMEOUT_S: Final = 30
_MAIN: Final = """
daemon off;
worker_processes 1;
user root;
pid {folder}/nginx.pid;
error_log {folder}/main.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/receiver.conf;
}}
"""
_KEYS: Final = {"rsa": ["rsa:2048"], "ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]}


@dataclass(frozen=True)
class Front:
    """nginx, running. `folder` has its logs."""

    port: int
    folder: Path

    @asynccontextmanager
    async def connected(self, suite: str | None = None, local: str = "127.0.0.1") -> AsyncIterator[Wire]:
        """A connection by TLS; with a suite, by TLS 1.2 and that suite alone. `local` is the caller's address."""
        context = ssl.create_default_context()
        for kind in _KEYS:
            context.load_verify_locations(self.folder / f"{kind}.pem")
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
        return [json.loads(line) for line in (self.folder / "receiver.access.log").read_text().splitlines()]

    def logs(self) -> str:
        """Every line of every log."""
        return "".join(file.read_text(errors="replace") for file in self.folder.glob("*.log"))


@contextmanager
def running(command: list[str], folder: Path, upstreams: Sequence[int]) -> Iterator[Front]:
    """nginx before servers on these ports; `command` is how to call it."""
    folder.mkdir()
    front = Front(free_port(), folder)
    for kind, key in _KEYS.items():
        _certificate(folder, kind, key)
    (folder / "receiver.conf").write_text(_adapted(front, upstreams), encoding="utf-8")
    (folder / "nginx.conf").write_text(_MAIN.format(folder=folder), encoding="utf-8")
    call = [*command, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "main.log")]
    checked = subprocess.run([*call, "-t"], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr, checked.stderr
    process = subprocess.Popen(call, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(process, front)
        yield front
    finally:
        process.terminate()
        process.wait(_TIMEOUT_S)


def _wait_for(process: "subprocess.Popen[bytes]", front: Front) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        assert process.poll() is None, front.logs()
        with suppress(OSError), socket.create_connection(("127.0.0.1", front.port), _TIMEOUT_S):
            return
        assert time.monotonic() < deadline, front.logs()
        time.sleep(0.02)


def _adapted(front: Front, upstreams: Sequence[int]) -> str:
    text = _SHIPPED.read_text(encoding="utf-8")
    shipped, servers = ("".join(_UPSTREAM.format(port=one) for one in ports) for ports in (_SHIPPED_PORTS, upstreams))
    for old, new in {
        shipped: servers,
        "listen 443 ssl;": f"listen 127.0.0.1:{front.port} ssl;",
        "    listen [::]:443 ssl;\n": "",
        "/etc/receiver/tls/": f"{front.folder}/",
        "/var/log/nginx/": f"{front.folder}/",
    }.items():
        assert old in text, f"the test replaces {old!r}, which is no longer there"
        text = text.replace(old, new)
    return text


def _certificate(folder: Path, kind: str, key: Sequence[str]) -> None:
    """A certificate that signed itself, `<kind>.pem`, and its key, `<kind>.key`."""
    subject = ["-subj", f"/CN={SERVER_NAME}", "-addext", f"subjectAltName=DNS:{SERVER_NAME}"]
    files = ["-keyout", f"{kind}.key", "-out", f"{kind}.pem"]
    subprocess.run(
        ["openssl", "req", "-x509", "-nodes", *subject, "-newkey", *key, *files],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=_TIMEOUT_S,
    )
