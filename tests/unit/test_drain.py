"""The way back from the spool: order, retries, the size of batches, and what is set apart. No disk, no server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from support.capture import Captured, captured_log
from support.draining import draining, observing
from support.fake_postgres import FakePostgres, poison
from support.fake_spool import FakeSpool
from support.reports import callback, job, report
from support.virtual_time import in_virtual_time
from support.writers import writing

from receiver.inbound import Inbound
from receiver.ingest.drain import Drain
from receiver.ingest.drain_told import DrainTold
from receiver.ingest.quarantine import Quarantine
from receiver.store.durable import DurableStore, StoreUnavailable
from receiver.telemetry import logs
from receiver.telemetry.metrics import Metrics

FOR_EVER = 1_000_000.0


def form(message: str, code: str = "DELIVRD") -> Inbound:
    return callback(body=f"smsMsgId={message}&status={code}".encode())


def forms(number: int) -> list[Inbound]:
    return [form(f"m-{n}") for n in range(number)]


@asynccontextmanager
async def at_work(
    server: FakePostgres, spool: FakeSpool, metrics: Metrics, **changes: float
) -> AsyncIterator[tuple[DurableStore, Captured]]:
    given = {"timeout_s": 2.0} | changes
    with captured_log() as log:
        async with (
            writing("", metrics, connect=server.connect, **given) as writer,
            draining("", writer, spool, metrics, timeout_s=given["timeout_s"], connect=server.connect) as store,
        ):
            yield store, log


def in_order(server: FakePostgres) -> list[str]:
    """The messages, commit by commit; within one they are sorted by key, so here by number."""
    return [message for group in server.groups for message in sorted(group, key=lambda name: int(name[2:]))]


async def emptied(spool: FakeSpool) -> None:
    async with asyncio.timeout(10_000):
        while spool.kept:
            await asyncio.sleep(0.01)


@in_virtual_time
async def test_a_terminal_shows_how_far_the_drain_is_and_how_long_it_will_take(monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr(logs, "tells", lambda: True)
    monkeypatch.setattr(logs, "tell", lines.append)
    told = DrainTold()
    told.begun()
    for left in (90_000, 89_000, 1_000, 0):
        await asyncio.sleep(1.25)
        told.advanced(1_000, left)
    assert [line[10:] for line in lines] == ["spool: 89,000 callbacks left, 800 a second, about 111 s"]
    await asyncio.sleep(5)
    told.begun()
    told.advanced(500, 500)
    assert len(lines) == 1, "a short drain is over before anybody has read of it"


@in_virtual_time
async def test_what_a_start_finds_in_the_spool_is_stored_in_the_order_of_its_arrival(server, spool, metrics):
    spool.add(*forms(1_200))
    async with at_work(server, spool, metrics) as (store, log):
        await emptied(spool)
        await asyncio.sleep(1)
        assert not store.spooled.is_set()
    assert in_order(server) == [f"m-{n}" for n in range(1_200)]
    assert [len(group) for group in server.groups] == [500, 500, 200]
    assert metrics.registry.get_sample_value("receiver_spool_drained_total") == 1_200
    told = [line["event"] for line in log.lines if line["event"] != "report.stored"]
    assert told == ["spool.opened", "spool.drained"]
    assert len(log.events("report.stored")) == 1_200


@in_virtual_time
async def test_a_callback_that_found_an_outage_is_stored_when_it_is_over(server, spool, metrics):
    async with at_work(server, spool, metrics) as (store, log):
        server.of_everything = OSError("away")
        spool.add(form("a"))
        store.spooled.set()
        await asyncio.sleep(60)
        assert not store.database_takes
        assert list(spool.kept) == [1], "what is not committed is not forgotten"
        server.of_everything = None
        await asyncio.sleep(2.1)
        assert spool.kept == {}
        assert store.database_takes
        await asyncio.sleep(1)
        assert not store.spooled.is_set()
    assert server.messages == ["a"]
    assert [line["event"] for line in log.lines] == [
        "spool.opened",
        "database.unavailable",
        "database.available",
        "report.stored",
        "spool.drained",
    ]


@in_virtual_time
async def test_with_an_empty_spool_a_probe_finds_out_that_postgresql_is_back(server, spool, metrics):
    async with at_work(server, spool, metrics) as (store, _):
        spool.has_room = False
        server.faults = [OSError("away")] * 3
        with pytest.raises(StoreUnavailable):
            await store.keep(job(report()))
        await asyncio.sleep(5)
        assert store.database_takes
        assert not store.spooled.is_set()
    assert server.probes == 1
    assert server.messages == []


@in_virtual_time
async def test_in_an_outage_a_growing_spool_is_told_of_whenever_it_has_doubled(server, spool, metrics):
    server.of_connecting = OSError("away")
    spool.add(form("a"))
    async with at_work(server, spool, metrics) as (_, log):
        await asyncio.sleep(60)
        assert 25 <= len(server.patiences) / 2 <= 35, "a batch and a probe, at least every two seconds"
        for _ in range(40):
            spool.add(*forms(25))
            await asyncio.sleep(2)
    depths = [line["callbacks"] for line in log.events("spool.growing")]
    assert all(later >= 2 * earlier for earlier, later in pairwise(depths))
    assert depths[-1] > 500


@in_virtual_time
async def test_a_batch_that_was_too_large_for_the_time_out_is_halved_and_grows_again(server, spool, metrics):
    """PostgreSQL takes 80 rows in time and no more."""
    spool.add(*forms(600))
    server.most_rows = 80
    async with at_work(server, spool, metrics) as (_, log):
        await emptied(spool)
    assert in_order(server) == [f"m-{n}" for n in range(600)]
    assert log.events("spool.quarantined") == []


@in_virtual_time
async def test_a_batch_that_met_the_end_of_an_outage_is_not_stored_one_by_one(server, spool, metrics):
    """A commit for each would hold up all that came after it, as long as the standby takes to confirm it."""
    spool.add(*forms(600))
    server.faults = [OSError("away")]
    async with at_work(server, spool, metrics):
        await emptied(spool)
    assert in_order(server) == [f"m-{n}" for n in range(600)]
    assert [len(group) for group in server.groups] == [250, 250, 100]


@in_virtual_time
async def test_no_transaction_after_an_outage_is_larger_than_others(server, spool, metrics):
    items = ",".join(f'{{"smsMsgId":"m-%d-{n}","status":"DELIVRD"}}' for n in range(30))
    bodies = [f'{{"statusReportList":[{items}]}}'.replace("%d", str(n)).encode() for n in range(9)]
    spool.add(*(callback(body=body)._replace(path="huawei/reports") for body in bodies))
    server.faults = [OSError("away")]
    async with at_work(server, spool, metrics, max_flush=100):
        await emptied(spool)
    assert [len(group) for group in server.groups] == [90, 90, 90]


@in_virtual_time
async def test_after_a_failure_less_is_read_at_once_and_then_a_little_more_each_time(server, spool, metrics):
    spool.add(*forms(500))
    async with at_work(server, spool, metrics):
        server.faults = [OSError("a"), OSError("b"), OSError("c"), OSError("d")]
        await emptied(spool)
    assert spool.read[:2] == [500, 500]
    smallest = min(spool.read)
    assert smallest == 125
    grown = spool.read[spool.read.index(smallest) :]
    assert grown == sorted(grown)
    assert grown[-1] > smallest


@in_virtual_time
async def test_one_that_is_too_slow_goes_to_quarantine_and_the_others_pass(server, spool, metrics):
    server.of_code = {"SLOW": FOR_EVER}
    spool.add(form("a"), form("slow", "SLOW"), form("b"))
    async with at_work(server, spool, metrics) as (store, log):
        await asyncio.sleep(20)
        assert server.messages == ["a", "b"]
        assert list(spool.kept) == [2]
        assert store.database_takes
        assert metrics.registry.get_sample_value("receiver_spool_quarantined") == 1
        (line,) = log.events("spool.quarantined")
        assert (line["request_id"], line["rows"]) == (spool.kept[2].request_id, 1)
        spool.add(form("c"))
        store.spooled.set()
        await asyncio.sleep(5)
        assert server.messages == ["a", "b", "c"], "the drain passes it by"
        assert log.events("spool.drained") == []


@in_virtual_time
async def test_what_the_database_refuses_of_the_spool_is_kept_as_rejected_and_forgotten(server, spool, metrics):
    server.of_code = {"POISON": poison()}
    bad = form("b", "POISON")
    spool.add(form("a"), bad, form("c"), callback(body=b"\xff"))
    async with at_work(server, spool, metrics) as (_, log):
        await emptied(spool)
        await asyncio.sleep(1)
    assert sorted(server.messages) == ["a", "c"]
    assert {body for body, _ in server.rejected} == {bad.body, b"\xff"}
    assert len(log.events("payload.rejected")) == 2


@in_virtual_time
async def test_an_outage_before_the_refused_is_kept_leaves_it_in_the_spool(server, spool, metrics):
    server.of_code = {"POISON": poison()}
    server.of_error = {"the database refuses it: violates check constraint no_poison": OSError("away")}
    spool.add(form("bad", "POISON"))
    async with at_work(server, spool, metrics):
        await asyncio.sleep(5)
        assert list(spool.kept) == [1]
        server.of_error = {}
        await emptied(spool)
    assert len(server.rejected) == 1


@in_virtual_time
async def test_a_large_callback_comes_back_in_parts(server, spool, metrics):
    items = ",".join(f'{{"smsMsgId":"m-{n}","status":"DELIVRD"}}' for n in range(1_100))
    spool.add(callback(body=f'{{"statusReportList":[{items}]}}'.encode())._replace(path="huawei/reports"))
    async with at_work(server, spool, metrics):
        await emptied(spool)
    assert [len(group) for group in server.groups] == [500, 500, 100]


@in_virtual_time
async def test_a_spool_that_cannot_be_read_is_told_of_and_says_nothing_about_postgresql(server, spool, metrics):
    spool.add(form("a"))
    spool.broken = "disk I/O error"
    async with at_work(server, spool, metrics) as (store, log):
        await asyncio.sleep(5)
        assert [line["error"] for line in log.events("spool.failed")][:2] == ["disk I/O error"] * 2
        assert store.database_takes
        assert server.probes >= 2
        spool.broken = None
        await emptied(spool)
    assert server.messages == ["a"]


@in_virtual_time
async def test_a_fault_of_our_own_ends_the_drain_and_does_not_turn_in_circles(server, spool, metrics, monkeypatch):
    async def broken(_self: FakeSpool, _numbers: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(FakeSpool, "remove", broken)
    spool.add(form("a"))
    async with writing("", metrics, connect=server.connect) as writer:
        store = DurableStore(writer, spool, metrics, deadline_s=4.0)
        quarantine = Quarantine("", store, spool, metrics, observing(metrics), timeout_s=2.0, connect=server.connect)
        with captured_log(), pytest.raises(ZeroDivisionError):
            await Drain(store, writer, spool, metrics, quarantine, observing(metrics)).run()
