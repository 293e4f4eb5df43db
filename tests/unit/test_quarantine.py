"""What PostgreSQL does not write in time although it writes others: tried again later, in ever smaller pieces."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from support.capture import Captured, captured_log
from support.draining import observing
from support.fake_postgres import FakePostgres
from support.fake_spool import FakeSpool
from support.reports import callback
from support.virtual_time import in_virtual_time
from support.writers import writing

from receiver.ingest.accept import parse_inbound
from receiver.ingest.quarantine import Quarantine
from receiver.store.durable import DurableStore
from receiver.telemetry.metrics import Metrics

FOR_EVER = 1_000_000.0
TIMEOUT_S = 0.5
TOO_SLOW = "PostgreSQL wrote other reports, but did not write this one within RECEIVER_DATABASE_TIMEOUT_S"
ATTEMPTS_AT = (2, 10, 40, 160, 760)
"""Seconds after it was set apart, if an attempt takes no time."""


@asynccontextmanager
async def at_work(
    server: FakePostgres, spool: FakeSpool, metrics: Metrics
) -> AsyncIterator[tuple[Quarantine, DurableStore, Captured]]:
    with captured_log() as log:
        async with writing("", metrics, connect=server.connect) as writer:
            store = DurableStore(writer, spool, metrics, deadline_s=4.0)
            quarantine = Quarantine(
                "", store, spool, metrics, observing(metrics), timeout_s=TIMEOUT_S, connect=server.connect
            )
            try:
                yield quarantine, store, log
            finally:
                await quarantine.close()


async def set_apart(quarantine: Quarantine, spool: FakeSpool, *codes: str) -> int:
    items = [{"smsMsgId": f"m-{n}", "status": code} for n, code in enumerate(codes)]
    inbound = callback(body=json.dumps({"statusReportList": items}).encode())._replace(path="huawei/reports")
    (number,) = spool.add(inbound)
    quarantine.add(number, (await parse_inbound(inbound)).job)
    return number


def quarantined(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("receiver_spool_quarantined")


@in_virtual_time
async def test_what_was_only_held_up_is_stored_at_the_first_attempt(server, spool, metrics):
    async with at_work(server, spool, metrics) as (quarantine, store, log):
        number = await set_apart(quarantine, spool, "DELIVRD")
        assert list(quarantine.numbers) == [number]
        assert quarantined(metrics) == 1
        await asyncio.sleep(1.9)
        assert server.messages == []
        await asyncio.sleep(0.2)
        assert server.messages == ["m-0"]
        assert not quarantine.numbers
        assert store.spooled.is_set(), "the drain finds out whether the spool is empty"
    assert spool.kept == {}
    assert quarantined(metrics) == 0
    assert metrics.registry.get_sample_value("receiver_spool_drained_total") == 1
    assert [line["event"] for line in log.lines] == ["spool.quarantined", "report.stored"]


@in_virtual_time
async def test_each_attempt_writes_an_eighth_of_the_rows_at_once_and_what_is_written_stays(server, spool, metrics):
    server.most_rows = 10
    async with at_work(server, spool, metrics) as (quarantine, _, _log):
        await set_apart(quarantine, spool, *["DELIVRD"] * 100)
        await asyncio.sleep(ATTEMPTS_AT[1] - 0.1)
        assert server.messages == [f"m-{n}" for n in range(96, 100)], "twelve at a time are too many, the rest is few"
        await asyncio.sleep(100)
    assert sorted(server.messages) == sorted(f"m-{n}" for n in range(100))
    assert max(len(group) for group in server.groups[1:]) == 1
    assert spool.kept == {}


@in_virtual_time
async def test_the_row_that_is_still_too_slow_is_kept_as_rejected_and_all_others_are_stored(server, spool, metrics):
    server.of_code = {"SLOW": FOR_EVER}
    async with at_work(server, spool, metrics) as (quarantine, _, log):
        number = await set_apart(quarantine, spool, *["DELIVRD"] * 17, "SLOW", *["DELIVRD"] * 22)
        body = spool.kept[number].body
        await asyncio.sleep(ATTEMPTS_AT[4] - 1)
        assert list(spool.kept) == [number]
        await asyncio.sleep(60)
    assert spool.kept == {}
    assert sorted(server.messages) == sorted(f"m-{n}" for n in range(40) if n != 17)
    assert server.rejected == [(body, TOO_SLOW)]
    assert [line["error"] for line in log.events("payload.rejected")] == [TOO_SLOW]


@in_virtual_time
async def test_a_body_whose_rows_are_refused_for_different_reasons_is_kept_as_rejected_once(server, spool, metrics):
    """Each piece of it was kept as rejected by itself, and all of them together once more."""
    server.of_code = {code: asyncpg.DataError(f"of {code}") for code in ("ONE", "TWO")}
    async with at_work(server, spool, metrics) as (quarantine, _, _log):
        await set_apart(quarantine, spool, "ONE", "TWO", "DELIVRD")
        await asyncio.sleep(ATTEMPTS_AT[0] + 1)
    assert spool.kept == {}
    assert [why for _, why in server.rejected] == ["the database refuses it: of ONE; the database refuses it: of TWO"]


@in_virtual_time
async def test_an_outage_says_nothing_about_the_callback_and_counts_as_no_attempt(server, spool, metrics):
    async with at_work(server, spool, metrics) as (quarantine, _, _log):
        number = await set_apart(quarantine, spool, "DELIVRD")
        server.of_connecting = OSError("away")
        await asyncio.sleep(1_000)
        assert list(quarantine.numbers) == list(spool.kept) == [number]
        server.of_connecting = None
        await asyncio.sleep(2.1)
    assert server.messages == ["m-0"]
    assert server.rejected == []


@in_virtual_time
async def test_a_rejected_body_that_is_itself_too_slow_waits_on_and_is_never_dropped(server, spool, metrics):
    (number,) = spool.add(callback(body=b"\xff"))
    job = (await parse_inbound(spool.kept[number])).job
    server.of_error = {job.error: FOR_EVER}
    async with at_work(server, spool, metrics) as (quarantine, _, _log):
        quarantine.add(number, job)
        await asyncio.sleep(1_000)
        assert list(quarantine.numbers) == list(spool.kept) == [number]
        server.of_error = {}
        await asyncio.sleep(3)
    assert server.rejected == [(b"\xff", job.error)]
    assert spool.kept == {}


@in_virtual_time
async def test_what_left_the_spool_meanwhile_is_done(server, spool, metrics):
    async with at_work(server, spool, metrics) as (quarantine, _, _log):
        number = await set_apart(quarantine, spool, "DELIVRD")
        spool.add(callback(body=b"smsMsgId=next&status=DELIVRD"))
        await spool.remove([number])
        await asyncio.sleep(ATTEMPTS_AT[0] + 1)
        assert not quarantine.numbers
    assert server.messages == []
    assert len(spool.kept) == 1, "the next one is not taken for it"


@in_virtual_time
async def test_a_spool_that_cannot_be_read_gives_it_back_to_the_drain(server, spool, metrics):
    async with at_work(server, spool, metrics) as (quarantine, store, log):
        await set_apart(quarantine, spool, "DELIVRD")
        spool.broken = "disk I/O error"
        await asyncio.sleep(ATTEMPTS_AT[0] + 1)
        assert not quarantine.numbers
        assert store.spooled.is_set()
    assert [line["error"] for line in log.events("spool.failed")] == ["disk I/O error"]


@in_virtual_time
async def test_when_it_is_closed_all_stay_in_the_spool_and_the_connection_goes(server, spool, metrics):
    async with at_work(server, spool, metrics) as (quarantine, _, _log):
        await set_apart(quarantine, spool, "DELIVRD")
        await asyncio.sleep(3)
        for _ in range(3):
            await set_apart(quarantine, spool, "DELIVRD")
        await asyncio.sleep(1)
        await quarantine.close()
        assert not quarantine.numbers
        assert len(spool.kept) == 3
    assert all(connection.is_closed() for connection in server.connections)


@in_virtual_time
async def test_attempts_take_turns_on_one_connection(server, spool, metrics):
    server.takes_s = 0.4
    async with at_work(server, spool, metrics) as (quarantine, _, _log):
        for _ in range(5):
            await set_apart(quarantine, spool, "DELIVRD")
        await asyncio.sleep(10)
    assert spool.kept == {}
    assert len(server.connections) == 1
