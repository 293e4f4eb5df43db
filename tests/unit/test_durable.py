"""Keeping a callback: in PostgreSQL, else in the spool, else nowhere, and always by the deadline."""

import asyncio

import pytest
from support.capture import captured_log
from support.fake_postgres import poison
from support.fake_spool import FakeSpool
from support.reports import job, report, submission
from support.virtual_time import in_virtual_time, now, oversleep
from support.writers import writing

from receiver.store.durable import DurableStore, StoreUnavailable
from receiver.store.job import Job, Kept, KeptIn, Receipt
from receiver.store.maintenance.rejected_quota import RejectedQuota
from receiver.store.writer import Writer
from receiver.telemetry.metrics import Metrics

DEADLINE_S = 4.0
FOR_EVER = 1_000_000.0
IN_SPOOL = Kept(KeptIn.SPOOL, Receipt())
JUNK = job(error="no JSON")


@pytest.fixture
def never(server, metrics) -> Writer:
    """A writer that gets to nothing."""
    return Writer("", metrics, timeout_s=20.0, max_queue=5, max_flush=5, connect=server.connect)


def store(writer: Writer, spool: FakeSpool, metrics: Metrics, rejected_bytes: int = 1 << 30) -> DurableStore:
    quota = RejectedQuota(metrics, rejected_bytes)
    return DurableStore(writer, spool, metrics, deadline_s=DEADLINE_S, rejected=quota)


def dropped(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("receiver_rejected_payloads_dropped_total", {"reason": "size"})


def of(*messages: str) -> Job:
    return job(*(report(message_id=message) for message in messages))


@in_virtual_time
async def test_what_postgresql_takes_is_kept_there_and_nowhere_else(server, spool, metrics):
    one = of("a")
    async with writing("", metrics, connect=server.connect) as writer:
        keeping = store(writer, spool, metrics)
        assert await keeping.keep(one) == Kept(KeptIn.DATABASE, Receipt(set(one.ids)))
        assert not keeping.spooled.is_set()
        assert (keeping.database_takes, keeping.spool_takes) == (True, True)
    assert spool.kept == {}


@in_virtual_time
async def test_what_postgresql_refuses_to_take_is_spooled_and_the_drain_called(server, spool, metrics):
    server.of_everything = OSError("away")
    async with writing("", metrics, connect=server.connect) as writer:
        keeping = store(writer, spool, metrics)
        jobs = [of("a"), of("b")]
        assert [await keeping.keep(one) for one in jobs] == [IN_SPOOL] * 2
        assert keeping.spooled.is_set()
        assert not keeping.database_takes
    assert list(spool.kept.values()) == [one.callback for one in jobs]
    assert metrics.registry.get_sample_value("receiver_spool_writes_total") == 2


@in_virtual_time
async def test_a_database_that_hangs_leaves_a_quarter_of_the_deadline_to_the_spool_and_a_full_queue_all(
    spool, metrics, never
):
    assert await store(never, spool, metrics).keep(of("a")) == IN_SPOOL
    assert now() == DEADLINE_S * 3 / 4
    never.submit(of(*"bcdef"))
    assert await store(never, spool, metrics).keep(of("g")) == IN_SPOOL
    assert now() == DEADLINE_S * 3 / 4


@in_virtual_time
async def test_a_spool_that_is_full_leaves_the_callback_to_the_platform(spool, metrics, never):
    spool.has_room = False
    keeping = store(never, spool, metrics)
    with pytest.raises(StoreUnavailable, match="the spool is full"):
        await keeping.keep(of("a"))
    assert not keeping.spool_takes
    assert keeping.spooled.is_set(), "somebody has to find out when PostgreSQL is back"
    assert metrics.registry.get_sample_value("receiver_spool_writes_total") == 0


@pytest.mark.parametrize(("disk_s", "kept"), [(0.9, True), (1.9, True), (2.1, False), (FOR_EVER, False)])
@in_virtual_time
async def test_a_slow_disk_has_as_long_again_and_then_the_platform_is_told(spool, metrics, never, disk_s, kept):
    spool.put_s = disk_s
    keeping = store(never, spool, metrics).keep(of("a"))
    if kept:
        assert await keeping == IN_SPOOL
    else:
        with pytest.raises(StoreUnavailable, match="in time"):
            await keeping
        assert now() == DEADLINE_S * 5 / 4


@in_virtual_time
async def test_a_late_event_loop_turns_nobody_away_while_the_spool_has_room(spool, metrics, never):
    spool.put_s = 0.1
    for when in (0.0, 2.9, 3.05):
        asyncio.get_running_loop().call_at(when, oversleep, 2 * DEADLINE_S)
    assert await store(never, spool, metrics).keep(of("a")) == IN_SPOOL


@in_virtual_time
async def test_junk_leaves_room_in_the_spool_to_what_is_understood(server, spool, metrics):
    spool.has_room_for_rejected = False
    server.of_everything = OSError("away")
    half = job(report(), error="item 2 is odd")
    async with writing("", metrics, connect=server.connect) as writer:
        keeping = store(writer, spool, metrics)
        assert await keeping.keep(JUNK) == Kept(KeptIn.NOWHERE, Receipt(dropped=True))
        assert await keeping.keep(half) == IN_SPOOL
        assert dropped(metrics) == 1
        spool.has_room = False
        with pytest.raises(StoreUnavailable):
            await keeping.keep(JUNK)
    assert list(spool.kept.values()) == [half.callback]


@in_virtual_time
async def test_beyond_the_quota_junk_is_counted_and_not_kept_but_reports_beside_it_are(server, spool, metrics):
    body = b"x" * 900
    junk, half = job(body=body, error="junk"), job(report(message_id="a"), body=body, error="junk")
    async with writing("", metrics, connect=server.connect) as writer:
        keeping = store(writer, spool, metrics, rejected_bytes=32_000)
        first = await keeping.keep(junk)
        second = await keeping.keep(half)
    assert first == Kept(KeptIn.DATABASE, Receipt())
    assert second == Kept(KeptIn.DATABASE, Receipt(set(half.ids), dropped=True))
    assert [error for _, error in server.rejected] == ["junk"]
    assert server.messages == ["a"]
    assert dropped(metrics) == 1


@in_virtual_time
async def test_an_outage_costs_nothing_of_the_quota(server, spool, metrics):
    body = b"x" * 900
    server.faults = [OSError("away")]
    async with writing("", metrics, connect=server.connect) as writer:
        keeping = store(writer, spool, metrics, rejected_bytes=32_000)
        one = job(body=body, error="junk")
        assert await keeping.keep(one) == IN_SPOOL
        assert (await keeping.write(one, writer.retry)).dropped is False


@in_virtual_time
async def test_the_body_of_refused_rows_is_kept_as_rejected_once_with_every_reason(server, spool, metrics):
    server.of_code = {"POISON": poison()}
    server.known = lambda message: message != "full"
    codes = {"a": "POISON", "b": "POISON", "full": "DELIVRD", "good": "DELIVRD"}
    bad = job(*(report(code, message_id=message) for message, code in codes.items()))
    async with writing("", metrics, connect=server.connect) as writer:
        with captured_log():
            kept_in, receipt = await store(writer, spool, metrics).keep(bad)
    assert kept_in is KeptIn.DATABASE
    assert (len(receipt.stored), len(receipt.refused)) == (1, 3)
    ((body, why),) = server.rejected
    assert body == bad.callback.body
    assert why.split("; ") == [
        "more than 512 different reports about one message",
        "the database refuses it: violates check constraint no_poison",
    ]


@in_virtual_time
async def test_a_large_callback_is_written_in_parts_and_small_ones_come_between(server, spool, metrics):
    server.takes_s = 1.0
    large = of(*(f"large-{n}" for n in range(1_100)))
    async with writing("", metrics, connect=server.connect) as writer:
        keeping = DurableStore(writer, spool, metrics, deadline_s=60.0)
        waiting = asyncio.create_task(keeping.keep(large))
        await asyncio.sleep(0.5)
        await keeping.keep(of("small"))
        assert now() == 2, "it waited for one part"
        assert len((await waiting).receipt.stored) == 1_100
    assert [len(group) for group in server.groups] == [500, 1, 500, 100]


@in_virtual_time
async def test_parts_are_bounded_by_bytes_too(server, spool, metrics):
    raw = f'"{"x" * 300_000}"'
    reports = [report(message_id=str(n), raw=raw) for n in range(3)]
    large = job(*reports, submission(message_id="s"), body=b"x" * 600_000)
    async with writing("", metrics, connect=server.connect) as writer:
        kept = await store(writer, spool, metrics).keep(large)
    assert kept.receipt.stored == set(large.ids)
    assert server.groups == [["0"], ["1"], ["2"], ["s"]]


@in_virtual_time
async def test_where_a_later_part_finds_an_outage_the_whole_callback_is_spooled(server, spool, metrics):
    large = of(*(f"m-{n}" for n in range(600)))
    async with writing("", metrics, connect=server.connect) as writer:
        keeping = asyncio.create_task(store(writer, spool, metrics).keep(large))
        server.takes_s = 1.0
        await asyncio.sleep(1.5)
        server.of_everything = OSError("away")
        assert await keeping == IN_SPOOL
    assert list(spool.kept.values()) == [large.callback], "what is stored already will be a duplicate"
