"""Group commit: what is written together, what is refused and when, and how the breaker opens and closes."""

import asyncio

import asyncpg
import pytest
from support.capture import captured_log
from support.virtual_time import in_virtual_time, now
from support.writers import of, outcomes, writing

from receiver.store.job import Job, Receipt
from receiver.store.writer import PROBE, DatabaseUnavailable, QueueFull
from receiver.telemetry.metrics import Metrics

MIB = 1 << 20
AWAY = [ConnectionResetError("gone"), asyncpg.AdminShutdownError("bye"), asyncpg.InterfaceError("odd")]


def many(names: str, **changes: object) -> list[Job]:
    return [of(name, **changes) for name in names]


def breaker(metrics: Metrics) -> str:
    name = "receiver_breaker_state"
    states = ("closed", "half_open", "open")
    return next(state for state in states if metrics.registry.get_sample_value(name, {name: state}))


@in_virtual_time
async def test_a_lone_callback_is_written_at_once_and_what_comes_meanwhile_together(server):
    server.takes_s = 1.0
    async with writing("", connect=server.connect) as writer:
        first = asyncio.create_task(writer.write(of("a")))
        await asyncio.sleep(0.5)
        await asyncio.gather(first, *(writer.write(one) for one in many("bcd")))
        assert now() == 2
    assert server.groups == [["a"], ["b", "c", "d"]]


@pytest.mark.parametrize(
    ("most_rows", "jobs", "groups"),
    [
        (2, many("abcde"), ["ab", "cd", "e"]),
        (2, [of("a"), of("b", "ACCEPTD", "DELIVRD"), of("c")], ["a", "bb", "c"]),
        (2, [of("a"), of("b", "ACCEPTD", "ENROUTE", "DELIVRD"), of("c")], ["a", "bbb", "c"]),
        (2_000, [*many("abc", body=b"x" * MIB), of("d", body=b"x" * 3 * MIB), of("e")], ["ab", "c", "d", "e"]),
    ],
    ids=["rows", "a callback is not divided", "one that is larger is a group by itself", "bytes"],
)
@in_virtual_time
async def test_a_group_is_bounded_by_its_rows_and_by_the_bytes_of_its_bodies(server, most_rows, jobs, groups):
    async with writing("", connect=server.connect, max_flush=most_rows) as writer:
        await outcomes(writer, *jobs)
    assert ["".join(group) for group in server.groups] == groups


@in_virtual_time
async def test_each_callback_learns_of_its_own_rows_and_of_two_equal_ones_the_first_is_new(server, metrics):
    one, other = of("a"), of("a", "DELIVRD", "ACCEPTD")
    async with writing("", metrics, connect=server.connect) as writer:
        first, second = await outcomes(writer, one, other)
        assert metrics.registry.get_sample_value("receiver_flush_reports_sum") == 3
        assert metrics.registry.get_sample_value("receiver_commit_duration_seconds_count") == 1
        again = await writer.write(other)
    assert (first, second, again) == (Receipt(set(one.ids)), Receipt(set(other.ids) - set(one.ids)), Receipt())


@pytest.mark.parametrize("fault", AWAY, ids=repr)
@in_virtual_time
async def test_who_waits_is_refused_with_who_failed_and_later_ones_at_once(server, metrics, fault):
    server.faults = [fault]
    async with writing("", metrics, connect=server.connect, max_flush=1) as writer:
        assert breaker(metrics) == "closed"
        with captured_log() as log:
            refused = [*await outcomes(writer, *many("abc")), *await outcomes(writer, of("late"))]
        assert [type(one) for one in refused] == [DatabaseUnavailable] * 4
        assert (breaker(metrics), writer.available) == ("open", False)
    assert server.groups == []
    assert [line["error"] for line in log.events("database.unavailable")] == [type(fault).__name__]
    assert [connection.is_closed() for connection in server.connections] == [True]


@in_virtual_time
async def test_a_hung_database_costs_everybody_one_time_out_and_no_more(server):
    server.of_everything = 1_000_000.0
    async with writing("", connect=server.connect, timeout_s=2.0, max_flush=1) as writer:
        for jobs in (many("abc"), many("def")):
            await outcomes(writer, *jobs)
            assert now() == 2


@in_virtual_time
async def test_one_that_is_written_all_the_same_closes_the_breaker(server, metrics):
    async with writing("", metrics, connect=server.connect) as writer:
        server.faults = [OSError("away")]
        await outcomes(writer, of("a"))
        server.takes_s = 1.0
        with captured_log() as log:
            probing = asyncio.create_task(writer.retry(PROBE))
            await asyncio.sleep(0.5)
            assert breaker(metrics) == "half_open"
            assert await probing == Receipt()
        assert breaker(metrics) == "closed"
        assert [line["event"] for line in log.lines] == ["database.available"]
        assert (await writer.write(of("b"))).stored
    assert server.probes == 1


@in_virtual_time
async def test_an_outage_is_told_of_once_and_again_where_its_cause_changes(server):
    server.faults = [OSError("a"), OSError("b"), asyncpg.DiskFullError("full\nof rows")]
    async with writing("", connect=server.connect) as writer:
        with captured_log() as log:
            for _ in range(3):
                with pytest.raises(DatabaseUnavailable):
                    await writer.retry(PROBE)
    told = [(line["error"], line["detail"]) for line in log.events("database.unavailable")]
    assert told == [("OSError", "a"), ("DiskFullError", "full")]


@in_virtual_time
async def test_connecting_gets_more_time_once_nobody_waits_for_an_answer(server):
    server.of_connecting = 1_000_000.0
    async with writing("", connect=server.connect, timeout_s=2.0) as writer:
        for at in (2, 8):
            with pytest.raises(DatabaseUnavailable):
                await writer.retry(PROBE)
            assert now() == at
    assert server.patiences == [2, 6]


@in_virtual_time
async def test_a_queue_that_is_full_refuses_and_one_that_is_empty_takes_any_size(server, metrics):
    server.takes_s = 1.0
    async with writing("", metrics, connect=server.connect, max_queue=2) as writer:
        large = of("large", "ACCEPTD", "ENROUTE", "DELIVRD")
        waiting = [asyncio.create_task(writer.write(one)) for one in (large, of("b"), of("c"), of("d"))]
        await asyncio.sleep(0)
        assert metrics.registry.get_sample_value("receiver_queue_reports") == 3
        with pytest.raises(QueueFull):
            await waiting[1]
        assert (await writer.submit(of("spooled"))).stored, "what was accepted before has no limit"
        assert (await waiting[0]).stored
        ended = await asyncio.gather(*waiting[2:], return_exceptions=True)
        assert [type(one) for one in ended] == [QueueFull] * 2
        assert (await writer.write(of("e"))).stored


@in_virtual_time
async def test_at_its_deadline_a_caller_goes_and_its_rows_may_still_be_stored(server):
    server.takes_s = 5.0
    async with writing("", connect=server.connect) as writer:
        with pytest.raises(TimeoutError):
            await writer.write(of("a"), deadline=now() + 2)
        assert now() == 2
        await writer.write(of("b"), deadline=now() + 100)
    assert server.messages == ["a", "b"]


@in_virtual_time
async def test_when_it_is_stopped_everybody_is_refused_and_the_connection_closed(server):
    server.takes_s = 5.0
    async with writing("", connect=server.connect, max_flush=1) as writer:
        waiting = [asyncio.create_task(writer.write(one)) for one in many("ab")]
        await asyncio.sleep(1)
    assert [type(one) for one in await asyncio.gather(*waiting, return_exceptions=True)] == [DatabaseUnavailable] * 2
    assert server.connections[0].is_closed()
    assert server.messages == []
