"""`receiver spool`: of a spool that lies there, and of one that a running service has."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support import service as services
from support.cluster import free_port
from support.command import Ended
from support.preloaded import Commands

from receiver.settings import Settings
from receiver.store.spool_file import SpoolFile

NOTHING = {"callbacks": 0, "oldest": None}


@asynccontextmanager
async def answering(status_line: str, body: str = "") -> AsyncIterator[int]:
    """The port of a server that answers everything so."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status_line}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_running_service_is_asked_wherever_it_listens(
    make_settings: Callable[..., Settings], commands: Commands
) -> None:
    """An IPv6 address without brackets ended in a traceback."""
    for host in ("127.0.0.1", "::1", "0.0.0.0", "::", "localhost"):
        async with services.running(make_settings(ops_host=host)) as service:
            asked = {
                "data_dir": service.settings.data_dir,
                "ops_host": host,
                "ops_port": urlsplit(service.ops_url).port,
            }
            depth = await commands.run("spool", "--json", **asked)
        assert depth.err == "", host
        assert NOTHING.items() <= depth.json.items()


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    """A data folder whose spool this process has open."""
    file = SpoolFile(tmp_path / "data" / "spool", 1 << 20)
    yield tmp_path / "data"
    file.close()


async def test_a_service_that_does_not_answer_is_told_with_what_to_set(locked: Path, commands: Commands) -> None:
    port = free_port()
    for command in (("spool",), ("spool", "export")):
        ended = await commands.run(*command, data_dir=locked, ops_host="::1", ops_port=port)
        for word in (f"RECEIVER_DATA_DIR={locked}", f"http://[::1]:{port}", "RECEIVER_OPS_HOST", "RECEIVER_OPS_PORT"):
            assert word in ended.complaint
    port_of_the_systems_choice = await commands.run("spool", data_dir=locked, ops_port=0)
    assert "RECEIVER_OPS_PORT" in port_of_the_systems_choice.complaint


@pytest.mark.parametrize(
    ("status_line", "body", "told"),
    [
        ("401 Unauthorized", "", "RECEIVER_OPS_TOKEN"),
        ("404 Not Found", "", "RECEIVER_OPS_PORT"),
        ("200 OK", "<html>", "RECEIVER_OPS_PORT"),
        ("200 OK", "", "RECEIVER_OPS_PORT"),
        ("500 Oh", "", "answers 500"),
        ("nonsense", "", "RECEIVER_OPS_PORT"),
    ],
)
async def test_who_answers_otherwise_is_told_of_too(
    locked: Path, commands: Commands, status_line: str, body: str, told: str
) -> None:
    async with answering(status_line, body) as port:
        ended = await commands.run("spool", data_dir=locked, ops_port=port)
    assert told in ended.complaint


async def test_an_empty_spool_is_told_and_exports_nothing(tmp_path: Path, commands: Commands) -> None:
    """And where there is none: the folder may be a mistyped one."""
    SpoolFile(tmp_path / "data" / "spool", 1 << 20).close()
    for folder, told in (
        (tmp_path / "data", "The spool is empty.\n"),
        (tmp_path / "mistyped", f"There is no spool in RECEIVER_DATA_DIR={tmp_path}/mistyped.\n"),
    ):
        assert await commands.run("spool", "export", data_dir=folder) == Ended(0, "", told)
        assert NOTHING.items() <= (await commands.run("spool", "--json", data_dir=folder)).json.items()
