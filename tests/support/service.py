"""A service within the test's own process, against a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import asyncpg
from yarl import URL

from receiver import service as lifecycle
from receiver.settings import Settings
from support.dialects import stored


async def answer_of(response: aiohttp.ClientResponse) -> Any:
    """The JSON of an answer, or its text where it is none."""
    return await (response.json() if response.content_type == "application/json" else response.text())


@dataclass
class Service:
    """`url` of the callback listener, `ops_url` of the other; `sql` sees what is committed."""

    url: str
    ops_url: str
    client: aiohttp.ClientSession
    sql: asyncpg.Connection
    settings: Settings
    stop: asyncio.Event

    async def post(self, path: str, body: bytes | str, **headers: str) -> tuple[int, Any]:
        """Post a body; the status and the answer, a text where it is no JSON."""
        data = body.encode() if isinstance(body, str) else body
        skip = () if "Content-Type" in headers else ("Content-Type",)
        url = URL(self.url + path, encoded=True)
        async with self.client.post(url, data=data, headers=headers, skip_auto_headers=skip) as response:
            return response.status, await answer_of(response)

    async def rows(self, query: str, *arguments: object) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.sql.fetch(query, *arguments)]

    async def count(self, path: str, name: str) -> int:
        """How often the good body of that name is stored."""
        (row,) = await self.rows(*stored(path, name))
        return int(row["n"])

    async def metric(self, beginning: str) -> float:
        """The sum of the samples whose lines begin like this."""
        async with self.client.get(f"{self.ops_url}/metrics") as response:
            lines = (await response.text()).splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(beginning))


@asynccontextmanager
async def running(settings: Settings, *, sql_url: str = "") -> AsyncIterator[Service]:
    """`sql_url`: another database for `sql` than the service's own, which may be out of reach."""
    stop = asyncio.Event()
    async with (
        lifecycle.running(settings, stop) as listeners,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as client,
    ):
        sql = await asyncpg.connect(sql_url or settings.database_url.get_secret_value())
        try:
            yield Service(listeners.public.url, listeners.ops.url, client, sql, settings, stop)
        finally:
            sql.terminate()
