"""The same questions on one PostgreSQL and on Citus find the same. The distributed copy is made of the other one."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import asyncpg
import pytest
from bench import reads
from support import citus as citus_support
from support.citus import Citus
from support.databases import connected, fill_template
from support.plans import nodes

from receiver.reading import export, lateness, lists, messages, overview, search, times
from receiver.reading.filters import Filters
from receiver.reading.history import history
from receiver.reading.reader import Limits, Reader
from receiver.reading.rejected_piece import piece_of
from receiver.store import schema

ROWS = 1_500
TEMPLATE = "template_reads"
PATIENT = Limits(statement_s=60.0, acquire_s=60.0, connect_s=30.0)
SHOWN = (
    {},
    {"status": "failed"},
    {"status": "failed", "sender": "nobody"},
    {"code": "never seen"},
    {"country": "-"},
    {"provider": "tencent"},
)

Answer = Callable[[Reader], Awaitable[Any]]


class Both(NamedTuple):
    """The URLs of one database on one node, and on several."""

    one: str
    several: str


async def _fill(url: str) -> None:
    await fill_template(url)
    await reads.fill(url, ROWS)


@pytest.fixture(scope="module")
async def both(citus: Citus) -> Both:
    await citus.make_distributed_template(_fill, TEMPLATE)
    one, several = [citus.socket_url(await citus.new_database(TEMPLATE)) for _ in range(2)]
    await schema.upgrade(several, shards=citus_support.SHARDS)
    return Both(one, several)


@pytest.fixture
async def readers(both: Both) -> AsyncIterator[tuple[Reader, Reader]]:
    pair = tuple(Reader(url, "RECEIVER_DATABASE_URL", PATIENT) for url in both)
    yield pair[0], pair[1]
    for reader in pair:
        await reader.close()


async def test_every_query_of_the_pages_finds_the_same(both: Both) -> None:
    async with connected(both.one) as one, connected(both.several) as several:
        asking = await reads.questions(one)
        assert len(asking) > 30
        for sql in (one, several):
            await sql.execute("SET ROLE sms_reader; SET jit = off")
        wrong = {}
        for name, query in asking.items():
            expected = await one.fetch(query)
            try:
                found = await several.fetch(query)
            except asyncpg.PostgresError as error:
                wrong[name] = str(error)
                continue
            if sorted(map(str, found)) != sorted(map(str, expected)):
                wrong[name] = f"{len(found)} rows, and not the {len(expected)}"
        assert wrong == {}


async def test_the_pages_and_commands_find_the_same(both: Both, readers: tuple[Reader, Reader]) -> None:
    async with connected(both.one) as sql:
        known = await sql.fetchrow(
            "SELECT message_id, recipient, correlation FROM sms.submission WHERE provider = 'huawei'"
            " AND received_at > now() - interval '2 days' ORDER BY 1 LIMIT 1"
        )
        rejected = await sql.fetchval("SELECT rejected_id FROM sms.rejected_payload LIMIT 1")
    for name, answer in {**_lists(known), **_details(known, rejected)}.items():
        expected, found = [_settled(await answer(reader)) for reader in readers]
        assert found == expected, name


def _lists(known: asyncpg.Record) -> dict[str, Answer]:
    now = datetime.now(UTC)
    looked_up = [{"number": known[1]}, {"message_id": known[0]}, {"correlation": known[2]}]
    found: dict[str, Answer] = {}
    for since in ("24h", "365d"):
        for wanted in (*SHOWN, *looked_up):
            filters = Filters.parse({"since": since} | wanted)
            found[f"messages {filters.given}"] = partial(messages.listed, filters=filters, now=now)
            found[f"counts {filters.given}"] = partial(overview.counts, filters=filters, now=now)
            found[f"codes {filters.given}"] = partial(overview.failed_codes, filters=filters, now=now)
    for wanted in ({}, *looked_up):
        filters = Filters.parse(wanted)
        for ask in (lists.reports, lists.replies, lists.rejected, lists.rejected_count, lists.overdue):
            found[f"{ask.__name__} {filters.given}"] = partial(ask, filters=filters, now=now)
        found[f"search {wanted}"] = partial(
            search.meaning, text=next(iter(wanted.values()), "x"), filters=filters, now=now
        )
    for kind in export.KINDS:
        found[f"export {kind}"] = partial(_exported, kind=kind, filters=Filters.parse({"since": "30d"}))
    by_number = Filters.parse({"since": "30d", "number": known[1]})
    return found | {"export of a number": partial(_exported, kind="messages", filters=by_number)}


def _details(known: asyncpg.Record, rejected: object) -> dict[str, Answer]:
    now, filters = datetime.now(UTC), Filters.parse({"since": "30d"})

    async def late(reader: Reader) -> object:
        (message,) = (await messages.listed(reader, Filters.parse({"message_id": known[0]}), now=now)).rows
        return await lateness.of_message(reader, message)

    return {
        "history": lambda reader: history(reader, known[0]),
        "history of a number": lambda reader: history(reader, known[0], provider="huawei", numbers=[known[1]]),
        "compared": lambda reader: overview.compared(reader, filters, now=now),
        "delivery times": lambda reader: times.delivery_times(reader, filters, now=now),
        "recent": lambda reader: times.recent(reader, now=now),
        "overdue counts": lists.overdue_counts,
        "overdue by age": lateness.by_age,
        "late": late,
        "rejected body": lambda reader: lists.rejected_body(reader, rejected),
        "piece": lambda reader: piece_of(reader, rejected, 0),
    }


async def _exported(reader: Reader, kind: str, filters: Filters) -> list[str]:
    async with export.exporting(reader, kind, filters, "csv", now=datetime.now(UTC), masked=False) as chunks:
        return sorted([line async for chunk in chunks for line in chunk.data.decode().splitlines()])


def _settled(answer: Any) -> Any:
    """Without the order of keys, which is that of rows that tie."""
    if isinstance(answer, times.DeliveryTimes):
        return answer.whole, sorted(answer.providers.items())
    return answer


def _tasks(plan: dict[str, Any]) -> Iterator[int]:
    for node, _ in nodes(plan):
        if job := node.get("Distributed Query", {}).get("Job"):
            yield job["Task Count"]


@pytest.mark.parametrize("view", ["message", "delivery_report", "submission"])
async def test_a_look_up_by_id_goes_to_one_shard(both: Both, view: str) -> None:
    async with connected(both.several) as sql:
        (plan,) = json.loads(
            await sql.fetchval(f"EXPLAIN (FORMAT JSON) SELECT * FROM sms.{view} WHERE message_id = 'b9d9b4fe'")
        )
        assert list(_tasks(plan["Plan"])) == [1]
        (plan,) = json.loads(await sql.fetchval(f"EXPLAIN (FORMAT JSON) SELECT count(*) FROM sms.{view}"))
        assert list(_tasks(plan["Plan"])) == [citus_support.SHARDS]
