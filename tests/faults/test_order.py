"""The order of system calls: the disk has it (fdatasync) before the client is told (the 200).

Kills of processes don't show this, for what a dead process wrote to the page cache still reaches the disk.
"""

import asyncio
import re
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import PIPE
from typing import NamedTuple

import aiohttp
import asyncpg
import pytest
from support import proxy as proxies
from support.cluster import APPLICATION, Cluster
from support.process import ServiceProcess

from receiver.embedded.account import spawn

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

_STRACE = ("strace", "-f", "-ttt", "-y", "-s", "1000", "-e")
_SERVICE_CALLS = "trace=fdatasync,read,write,writev,sendto,sendmsg"
_BACKEND_CALLS = "trace=fdatasync,sendto,recvfrom"

_LINE = re.compile(r"(?:(?:\[pid +)?(\d+)\]? +)?(\d+\.\d+) (.*)")
_ANSWER = '"HTTP/1.1 200'
_COMMITTED = r"Z\0\0\0\5I"
"""ReadyForQuery, idle: PostgreSQL sends it once the transaction is committed, and the driver waits for it."""

_WRITES = ("write", "writev", "sendto", "sendmsg")


class Call(NamedTuple):
    """A system call at the time of its end, or where it does not matter of its begin."""

    at: float
    text: str

    def writes(self, what: str) -> bool:
        return self.text.startswith(_WRITES) and what in self.text

    def synced(self, what: str) -> bool:
        """A finished fdatasync of such a file."""
        return self.text.startswith("fdatasync") and what in self.text and self.text.endswith("= 0")


def _calls(trace: str) -> list[Call]:
    """In the order of their ends: a call that others interrupt is written in two lines, which are put together."""
    found: list[Call] = []
    unfinished: dict[str | None, str] = {}
    for line in trace.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        thread, at, text = match.groups()
        if text.endswith("<unfinished ...>"):
            unfinished[thread] = text.removesuffix("<unfinished ...>").strip()
        elif text.startswith("<..."):
            found.append(Call(float(at), f"{unfinished.pop(thread, '')} {text}"))
        else:
            found.append(Call(float(at), text))
    return found


@asynccontextmanager
async def _one_connection(cluster: Cluster, database: str) -> AsyncIterator[int]:
    """The pid of the writer's backend."""
    query = """
    SELECT array_agg(pid) FROM pg_stat_activity WHERE datname = $1 AND usename = $2 AND query LIKE '%store_reports%'
    """
    connection = await asyncpg.connect(cluster.socket_url("postgres"))
    try:
        async with asyncio.timeout(30):
            while len(pids := await connection.fetchval(query, database, APPLICATION) or []) != 1:
                await asyncio.sleep(0.02)
        yield pids[0]
    finally:
        connection.terminate()


async def _post(client: aiohttp.ClientSession, service: ServiceProcess, message_id: str) -> None:
    body = {"smsMsgId": message_id, "status": "DELIVRD"}
    async with client.post(f"{service.url}/callback/huawei/report", data=body) as response:
        assert response.status == 200


async def test_the_disk_has_it_before_the_client_is_told(
    fragile: Cluster, open_folder: Path, say: Callable[[str], None]
) -> None:
    database = await fragile.new_database()
    trace = open_folder / f"{database}.strace"
    async with proxies.running(fragile.port) as proxy, aiohttp.ClientSession() as client:
        url = fragile.url(database, user=APPLICATION, port=proxy.port)
        # Watched call by call, either side is slow: that must not send to the spool what is to be committed.
        service = ServiceProcess(
            open_folder / database, database_url=url, database_timeout_s=20.0, answer_deadline_s=30.0
        )
        try:
            # -D: strace is the one beside, so that what we start and kill is the service.
            await service.start(*_STRACE[:2], "-D", *_STRACE[2:], _SERVICE_CALLS, "-o", str(trace))
            await _post(client, service, "first")
            async with _one_connection(fragile, database) as backend:
                command = [*_STRACE, _BACKEND_CALLS, "-p", str(backend)]
                tracer = spawn(command, fragile.account, PIPE)
                assert tracer.stdout is not None
                greeting = await asyncio.to_thread(tracer.stdout.readline)
                if b"attached" not in greeting:
                    await asyncio.to_thread(tracer.communicate)
                    pytest.skip(f"strace may not attach to a backend here: {greeting.decode().strip()}")
                await _post(client, service, "committed")
                tracer.send_signal(signal.SIGINT)
                output, _ = await asyncio.to_thread(tracer.communicate)
                backend_calls = _calls(output.decode())
            await proxy.set("cut")
            await _post(client, service, "spooled")
            assert await service.terminate() == 0
        finally:
            if service.alive:
                await service.kill()
    calls = _calls(trace.read_text(encoding="utf-8", errors="replace"))

    synced, told = _between(calls, "committed", lambda call: call.text.startswith("read") and _COMMITTED in call.text)
    log_synced = [call.at for call in backend_calls if call.synced("/pg_wal/")]
    commit_sent = [call.at for call in backend_calls if call.writes(_COMMITTED)]
    assert log_synced[0] < commit_sent[0] <= told.at
    assert commit_sent[0] <= synced[-1].at  # what looks at the server beside the writer reads such words too
    say(f"committed: fdatasync of pg_wal {1e3 * (told.at - log_synced[0]):.2f} ms before the 200")

    synced, told = _between(calls, "spooled", lambda call: call.synced("/spool.sqlite-wal"))
    say(f"spooled: fdatasync of the spool's log {1e3 * (told.at - synced[0].at):.2f} ms before the 200")


def _between(calls: list[Call], message_id: str, wanted: Callable[[Call], bool]) -> tuple[list[Call], Call]:
    """What is wanted between the arrival of a request and its answer, and that answer. Fails if there is nothing."""
    request = f"smsMsgId={message_id}"
    arrived = next(n for n, call in enumerate(calls) if call.text.startswith("read") and request in call.text)
    told = next(n for n, call in enumerate(calls) if n > arrived and call.writes(_ANSWER))
    found = [call for call in calls[arrived:told] if wanted(call)]
    assert found, "\n".join(call.text for call in calls[arrived : told + 1])
    return found, calls[told]
