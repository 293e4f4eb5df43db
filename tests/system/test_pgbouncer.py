"""Behind PgBouncer in transaction mode, where every transaction may meet another server process."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import asyncpg
import pytest
from support import process as processes
from support.cluster import APPLICATION, Cluster, free_port
from support.process import ServiceProcess

from receiver.reading.reader import Limits, Reader

_POOL = 3
_REQUESTS = 150
_BATCH = 5

_CONFIG = """
[databases]
* = host=127.0.0.1 port={server}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users.txt
pool_mode = transaction
default_pool_size = {pool}
; Each transaction on the server process that has waited longest: what must not be relied on fails at once.
server_round_robin = 1
"""
_TROUBLE = {"database.unavailable", "database.unreachable", "database.retry", "writer.failed", "report.spooled"}


def _start(command: list[str], folder: Path, server: int, port: int) -> subprocess.Popen[bytes]:
    folder.mkdir()
    folder.chmod(0o755)
    config = folder / "pgbouncer.ini"
    config.write_text(_CONFIG.format(server=server, port=port, folder=folder, pool=_POOL))
    (folder / "users.txt").write_text(f'"{APPLICATION}" ""\n')
    # It refuses to run as root.
    account = ["-u", "nobody"] if os.geteuid() == 0 else []
    return subprocess.Popen([*command, *account, str(config)], stderr=subprocess.PIPE)


@asynccontextmanager
async def _pooler(command: list[str], folder: Path, server: int) -> AsyncIterator[int]:
    """Its port."""
    port = free_port()
    process = _start(command, folder, server, port)
    try:
        async with asyncio.timeout(20):
            while not await _listens(port):
                assert process.poll() is None, process.stderr and process.stderr.read().decode()
                await asyncio.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.communicate()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@pytest.fixture(scope="module")
async def pooled(program: Callable[..., list[str]], reachable: Cluster, open_folder: Path) -> AsyncIterator[int]:
    command = program("pgbouncer", "pgbouncer", "libevent-2.1-7", "libc-ares2")
    async with _pooler(command, open_folder / "pgbouncer", reachable.port) as port:
        yield port


async def _push(service: ServiceProcess, name: str) -> None:
    """Reports one by one and in batches, mobile-originated messages, and what nobody understands."""
    batch = [{"smsMsgId": f"{name}-batch-{n}", "status": "DELIVRD"} for n in range(_BATCH)]
    calls = (
        ("report", {"data": {"smsMsgId": f"{name}-one", "status": "DELIVRD"}}, 200),
        ("reports", {"json": {"statusReportList": batch}}, 200),
        ("uplink", {"data": {"smsMsgId": f"{name}-mo", "from": "+8613800000000", "to": "1069", "body": name}}, 200),
        ("report", {"data": f"status={name}"}, 400),
    )
    async with aiohttp.ClientSession() as client:
        for path, body, status in calls:
            async with client.post(f"{service.url}/callback/huawei/{path}", **body) as response:
                assert response.status == status


async def test_everything_is_stored_through_a_transaction_pooler(
    pooled: int, reachable: Cluster, open_folder: Path
) -> None:
    database = await reachable.new_database()
    url = reachable.url(database, user=APPLICATION, port=pooled)
    folders = [open_folder / f"{database}-{n}" for n in (1, 2)]
    async with (
        processes.running(folders[0], database_url=url) as one,
        processes.running(folders[1], database_url=url) as other,
    ):
        names = [(service, f"{number}-{n}") for number, service in enumerate((one, other)) for n in range(_REQUESTS)]
        for at in range(0, len(names), 20):
            await asyncio.gather(*(_push(service, name) for service, name in names[at : at + 20]))
        assert [await one.terminate(), await other.terminate()] == [0, 0]
    connection = await asyncpg.connect(reachable.socket_url(database))
    counted = await connection.fetchrow(
        """
        SELECT (SELECT count(*) FROM sms.delivery_report) AS reports, (SELECT count(*) FROM sms.message) AS messages,
               (SELECT count(*) FROM sms.reply) AS replies, (SELECT count(*) FROM sms.rejected_payload) AS rejected,
               (SELECT count(*) FROM sms.code) > 0 AS codes,
               (SELECT count(*) FROM pg_stat_activity WHERE usename = $1) AS processes""",
        APPLICATION,
    )
    await connection.close()

    all_of = len(names)
    assert tuple(counted)[:-1] == (all_of * (1 + _BATCH), all_of * (1 + _BATCH), all_of, all_of, True)
    assert counted["processes"] <= _POOL
    for service in (one, other):
        assert not [line for line in service.output if any(event in line for event in _TROUBLE) or "_failed" in line]


async def test_people_read_through_a_transaction_pooler(pooled: int, reachable: Cluster) -> None:
    """More questions than the pooler has server processes, and a stream beside them: no state is left to another."""
    database = await reachable.new_database()
    url = reachable.url(database, user=APPLICATION, port=pooled)
    reader = Reader(url, "RECEIVER_DATABASE_URL", Limits(queries=6, acquire_s=20.0, connect_s=20.0))
    state = "SELECT current_setting('statement_timeout'), current_setting('transaction_read_only'), $1::int"
    try:
        async with reader.stream("SELECT generate_series(1, 5000) AS n") as pages:
            read = [row["n"] async for rows in pages for row in rows]
            told = await asyncio.gather(*(reader.fetchrow(state, n) for n in range(100)))
    finally:
        await reader.close()
    assert read == list(range(1, 5001))
    assert [tuple(row) for row in told if row] == [("5s", "on", n) for n in range(100)]
    connection = await asyncpg.connect(
        url, statement_cache_size=0
    )  # through the pooler, to a server process that somebody has used
    plain = "SELECT current_setting('statement_timeout') || current_setting('role') || current_setting('jit')"
    left = {await connection.fetchval(plain) for _ in range(2 * _POOL)}
    await connection.close()
    assert left == {await _plainly(reachable, database, plain)}


async def _plainly(reachable: Cluster, database: str, query: str) -> str:
    """What a connection past the pooler says, on which nobody has set anything."""
    connection = await asyncpg.connect(reachable.socket_url(database))
    try:
        said: str = await connection.fetchval(query)
    finally:
        await connection.close()
    return said
