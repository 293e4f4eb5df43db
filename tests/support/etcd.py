"""etcd of Debian's package: one member, to be killed and started again."""

import asyncio
from base64 import b64encode
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp

from receiver.embedded.account import Account, make_private, spawn
from receiver.embedded.log import open_log

if TYPE_CHECKING:
    from subprocess import Popen

PACKAGES: Final = ("etcd-server",)
_START_S: Final = 30.0


class Etcd:
    """`start` it first."""

    def __init__(self, program: Sequence[str], folder: Path, account: Account, address: str, port: int) -> None:
        self.client = f"{address}:{port}"
        self._folder, self._account = folder, account
        own, peer = f"http://{self.client}", f"http://{address}:{port + 1}"
        options = {
            "name": "etcd1",
            "data-dir": str(folder / "data"),
            "listen-client-urls": own,
            "advertise-client-urls": own,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"etcd1={peer}",
        }
        self._command = [*program, *(f"--{name}={value}" for name, value in options.items())]
        self._process: Popen[bytes] | None = None

    async def start(self, here: AbstractContextManager[None]) -> None:
        """Start it, and wait until it has a leader: itself."""
        make_private(self._folder, self._account)
        with here, open_log(self._folder.with_suffix(".log")) as output:
            self._process = spawn(self._command, self._account, output)
        async with asyncio.timeout(_START_S), aiohttp.ClientSession() as client:
            while not await self._healthy(client):
                assert self._process.poll() is None, self._folder.with_suffix(".log").read_text()
                await asyncio.sleep(0.05)

    async def _healthy(self, client: aiohttp.ClientSession) -> bool:
        try:
            async with client.get(f"http://{self.client}/health") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def forget(self, key: str) -> None:
        """As `etcdctl del` does."""
        wanted = {"key": b64encode(key.encode()).decode()}
        url = f"http://{self.client}/v3/kv/deleterange"
        async with aiohttp.ClientSession() as client, client.post(url, json=wanted) as response:
            assert (await response.json())["deleted"] == "1", await response.text()

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
