"""One transaction for many callbacks: what becomes of poison, deadlocks and missing partitions. Without PostgreSQL."""

from datetime import timedelta

import asyncpg
import pytest
from support.capture import captured_log
from support.fake_postgres import FakePostgres, partition_missing, poison
from support.reports import NOON, job, report, submission
from support.virtual_time import in_virtual_time
from support.writers import of, outcomes, writing

from receiver.report import ProviderName, Reply, RowId
from receiver.store.job import Receipt
from receiver.store.writer import DatabaseUnavailable


@pytest.fixture
def server() -> FakePostgres:
    return FakePostgres()


@in_virtual_time
async def test_every_kind_of_row_is_written_in_one_transaction(server: FakePostgres):
    reply = Reply(provider=ProviderName("tencent"), reply_id=RowId("r" * 32), body="STOP", raw="{}")
    everything = job(report(), submission(), replies=[reply], error="item 2 is odd")
    async with writing("", connect=server.connect) as writer:
        receipt = await writer.write(everything)
    assert receipt == Receipt(set(everything.ids))
    assert server.inserted == ["submissions", "replies", "rejected"]
    assert server.rejected == [(b"by hand", "item 2 is odd")]


@in_virtual_time
async def test_through_a_pooler_nothing_stays_prepared_and_all_is_stored(server: FakePostgres):
    server.prepares = False
    async with writing("", connect=server.connect) as writer:
        await outcomes(writer, of("a"), of("b"))
    assert server.groups == [["a", "b"]]


@in_virtual_time
async def test_a_connection_that_was_closed_is_made_anew(server: FakePostgres):
    async with writing("", connect=server.connect) as writer:
        await writer.write(of("a"))
        server.connections[0].terminate()
        await writer.write(of("b"))
    assert server.messages == ["a", "b"]
    assert len(server.connections) == 2


@in_virtual_time
async def test_poison_is_found_by_halves_and_its_neighbours_are_stored(server: FakePostgres):
    server.of_code = {"POISON": poison()}
    jobs = [of(name, "POISON" if name in "cg" else "DELIVRD") for name in "abcdefgh"]
    async with writing("", connect=server.connect) as writer:
        receipts = await outcomes(writer, *jobs)
        assert writer.available
    why = "the database refuses it: violates check constraint no_poison"
    assert [receipt.refused for receipt in receipts] == [
        dict.fromkeys(one.ids, why) if name in "cg" else {} for name, one in zip("abcdefgh", jobs, strict=True)
    ]
    assert ["".join(group) for group in server.groups] == ["ab", "d", "ef", "h"]


@in_virtual_time
async def test_poison_in_a_callback_leaves_its_other_rows(server: FakePostgres):
    server.of_code = {"POISON": poison()}
    server.of_reply = {"POISON": poison()}
    replies = [Reply(provider=ProviderName("p"), reply_id=RowId(t), body=t, raw="{}") for t in ("STOP", "POISON")]
    mixed = job(report(), report("POISON"), submission(), replies=replies, error="item 9 is odd")
    async with writing("", connect=server.connect) as writer:
        receipt = await writer.write(mixed)
    refused = {mixed.reports[1].report_id, "POISON"}
    assert receipt.refused.keys() == refused
    assert receipt.stored == set(mixed.ids) - refused
    assert server.rejected == [(b"by hand", "item 9 is odd")]


@in_virtual_time
async def test_a_fault_of_ours_with_one_row_is_isolated_like_poison_and_told_by_its_type_alone(server: FakePostgres):
    server.of_code = {"ODD": ZeroDivisionError("quotes the row")}
    async with writing("", connect=server.connect) as writer:
        with captured_log() as log:
            good, bad = await outcomes(writer, of("a"), of("b", "ODD"))
        assert writer.available
    assert (len(good.stored), len(bad.refused)) == (1, 1)
    assert [(line["error"], line["reports"]) for line in log.events("writer.failed")] == [
        ("ZeroDivisionError", 2),
        ("ZeroDivisionError", 1),
    ]
    assert "quotes" not in log.text


@in_virtual_time
async def test_a_body_that_not_even_the_rejected_take_is_told_of_as_lost(server: FakePostgres):
    server.of_error = {"POISON": poison()}
    lost = job(error="POISON")
    async with writing("", connect=server.connect) as writer:
        with captured_log() as log:
            assert await writer.write(lost) == Receipt()
    assert [line["request_id"] for line in log.events("payload.lost")] == [lost.callback.request_id]


@in_virtual_time
async def test_an_outage_while_poison_is_looked_for_refuses_them_all(server: FakePostgres):
    server.faults = [poison(), OSError("away")]
    async with writing("", connect=server.connect) as writer:
        assert [type(one) for one in await outcomes(writer, of("a"), of("b"))] == [DatabaseUnavailable] * 2


@pytest.mark.parametrize("error", [asyncpg.DeadlockDetectedError("d"), asyncpg.SerializationError("s")], ids=repr)
@in_virtual_time
async def test_a_deadlock_is_tried_again_at_once_on_the_same_connection(server: FakePostgres, error: Exception):
    server.faults = [error, error]
    async with writing("", connect=server.connect) as writer:
        with captured_log() as log:
            assert (await writer.write(of("a"))).stored
    assert len(log.events("database.retry")) == 2
    assert len(server.connections) == 1


@in_virtual_time
async def test_deadlocks_without_end_count_as_an_outage(server: FakePostgres):
    server.faults = [asyncpg.DeadlockDetectedError("d") for _ in range(3)]
    async with writing("", connect=server.connect) as writer:
        with captured_log() as log, pytest.raises(DatabaseUnavailable):
            await writer.write(of("a"))
    assert [line["detail"] for line in log.events("database.unavailable")] == ["retries did not help"]


@in_virtual_time
async def test_a_missing_partition_is_made_for_each_day_and_the_rows_are_stored(server: FakePostgres):
    server.faults = [partition_missing()]
    days = [NOON - timedelta(days=3), NOON, NOON]
    async with writing("", connect=server.connect) as writer:
        with captured_log() as log:
            receipts = await outcomes(writer, *(of(str(n), received_at=at) for n, at in enumerate(days)))
    assert all(receipt.stored for receipt in receipts)
    assert server.days == [days[0].date(), NOON.date()]
    assert len(log.events("partitions.missing")) == 1


@in_virtual_time
async def test_what_a_full_message_takes_no_more_is_refused_and_the_rest_stored(server: FakePostgres):
    server.known = lambda message: message != "full"
    async with writing("", connect=server.connect) as writer:
        full, good = await outcomes(writer, of("full"), of("a"))
    assert list(full.refused.values()) == ["more than 512 different reports about one message"]
    assert good.stored


@in_virtual_time
async def test_a_commit_that_rolled_back_is_an_outage_and_nothing_is_stored(server: FakePostgres):
    """PostgreSQL answers ROLLBACK to a COMMIT where the transaction had failed, and raises no error."""
    server.prepares = False
    server.commits = False
    async with writing("", connect=server.connect) as writer:
        with captured_log() as log, pytest.raises(DatabaseUnavailable):
            await writer.write(of("a"))
    assert [line["detail"] for line in log.events("database.unavailable")] == ["the transaction was rolled back"]
