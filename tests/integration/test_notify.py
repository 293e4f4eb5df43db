"""A service manager is told when the service listens, and when it begins to stop."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import aiohttp
import pytest
from support import tencent_api
from support.process import ServiceProcess
from support.pulling import PullProcess
from support.waiting import DEADLINE_S

from receiver.notify import notify


@asynccontextmanager
async def managed(path: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[], Awaitable[bytes]]]:
    """How the manager hears what it is told; at an abstract address of the kernel's choice where there is no path."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.bind(path)
        manager.settimeout(DEADLINE_S)
        name = manager.getsockname()
        monkeypatch.setenv("NOTIFY_SOCKET", name if path else f"@{name[1:].decode()}")
        yield lambda: asyncio.to_thread(manager.recv, 100)


async def answers(url: str) -> bool:
    async with aiohttp.ClientSession() as client, client.head(url) as answer:
        return answer.status == 200


async def test_the_manager_of_a_service_hears_of_both(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with managed(str(tmp_path / "notify"), monkeypatch) as heard:
        service = ServiceProcess(tmp_path / "service", database_url=database)
        service.launch()
        try:
            assert await heard() == b"READY=1"
            assert await answers(f"{service.url}/callback/huawei/report"), "it is ready when it says so"
            assert await service.terminate() == 0
            assert await heard() == b"STOPPING=1"
        finally:
            if service.alive:
                await service.kill()


async def test_the_manager_of_a_pull_hears_of_both(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a unit of `Type=notify` is killed in the midst of a read that nobody repeats."""
    async with tencent_api.running() as api, managed(str(tmp_path / "notify"), monkeypatch) as heard:
        process = PullProcess(tmp_path / "pull", database_url=database, **api.settings)
        await process.start()
        try:
            assert await heard() == b"READY=1"
            assert await answers(f"http://127.0.0.1:{process.ops_port}/readyz"), "it is ready when it says so"
            await process.signal(signal.SIGTERM)
            assert await heard() == b"STOPPING=1"
            assert await process.ended() == 0
        finally:
            await process.gone()


async def test_an_abstract_address_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    async with managed("", monkeypatch) as heard:
        notify("READY=1")
        assert await heard() == b"READY=1"


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "/nowhere/at/all", "@nobody-listens-here"])
def test_nobody_to_tell_is_no_trouble(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify("READY=1")
