"""A service manager is told when the service listens, and when it begins to stop."""

import asyncio
import signal
import socket
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest
from support import tencent_api
from support.process import ServiceProcess
from support.pulling import PullProcess
from support.waiting import DEADLINE_S

from receiver.notify import notify


@pytest.mark.parametrize("abstract", [False, True])
async def test_the_manager_hears_of_both(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, abstract: bool
) -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        # An empty address is an abstract one of the kernel's choice.
        manager.bind("" if abstract else str(tmp_path / "notify"))
        manager.settimeout(DEADLINE_S)
        name = manager.getsockname()
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name[1:].decode()}" if abstract else name)
        service = ServiceProcess(tmp_path / "service", database_url=database)
        service.launch()
        try:
            assert await asyncio.to_thread(manager.recv, 100) == b"READY=1"
            async with (
                aiohttp.ClientSession() as client,
                client.head(f"{service.url}/callback/huawei/report") as answer,
            ):
                assert answer.status == 200, "it is ready when it says so"
            assert await service.terminate() == 0
            assert await asyncio.to_thread(manager.recv, 100) == b"STOPPING=1"
        finally:
            if service.alive:
                await service.kill()


async def test_the_manager_of_a_pull_hears_of_both(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a unit of `Type=notify` is killed in the midst of a read that nobody repeats."""
    async with tencent_api.running() as api:
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
            manager.bind(str(tmp_path / "notify"))
            manager.settimeout(DEADLINE_S)
            monkeypatch.setenv("NOTIFY_SOCKET", manager.getsockname())
            process = PullProcess(tmp_path / "pull", database_url=database, **api.settings)
            await process.start()
            try:
                assert await asyncio.to_thread(manager.recv, 100) == b"READY=1"
                async with (
                    aiohttp.ClientSession() as client,
                    client.get(f"http://127.0.0.1:{process.ops_port}/readyz") as answer,
                ):
                    assert answer.status == 200, "it is ready when it says so"
                await process.signal(signal.SIGTERM)
                assert await asyncio.to_thread(manager.recv, 100) == b"STOPPING=1"
                assert await process.ended() == 0
            finally:
                await process.gone()


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "/nowhere/at/all", "@nobody-listens-here"])
def test_nobody_to_tell_is_no_trouble(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify("READY=1")
