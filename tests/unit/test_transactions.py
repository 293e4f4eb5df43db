"""One transaction for many callbacks: what becomes of poison, deadlocks and missing partitions. Without PostgreSQL."""

from datetime import timedelta

import asyncpg
import pytest
from support.capture import captured_log
from support.fake_postgres import partition_missing, poison
from support.reports import NOON, job, report, submission
from support.virtual_time import in_virtual_time
from support.writers import of, outcomes, writing

from receiver.report import ProviderName, Reply, RowId
from receiver.store.job import Receipt
from receiver.store.writer import DatabaseUnavailable


def reply(text: str) -> Reply:
    return Reply(provider=ProviderName("tencent"), reply_id=RowId(text), body=text, raw="{}")


@in_virtual_time
async def test_every_kind_of_row_is_written_in_one_transaction(server):
    everything = job(report(), submission(), replies=[reply("STOP")], error="item 2 is odd")
    async with writing("", connect=server.connect) as writer:
        assert await writer.write(everything) == Receipt(set(everything.ids))
    assert server.inserted == ["submissions", "replies", "rejected"]
    assert server.rejected == [(b"by hand", "item 2 is odd")]


@in_virtual_time
async def test_through_a_pooler_nothing_stays_prepared_and_all_is_stored(server):
    server.prepares = False
    async with writing("", connect=server.connect) as writer:
        await outcomes(writer, of("a"), of("b"))
    assert server.groups == [["a", "b"]]


@in_virtual_time
async def test_a_connection_that_was_closed_is_made_anew(server):
    async with writing("", connect=server.connect) as writer:
        await writer.write(of("a"))
        server.connections[0].terminate()
        await writer.write(of("b"))
    assert (server.messages, len(server.connections)) == (["a", "b"], 2)


@in_virtual_time
async def test_poison_is_found_by_halves_and_its_neighbours_are_stored(server):
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
async def test_poison_in_a_callback_leaves_its_other_rows(server):
    server.of_code = server.of_reply = {"POISON": poison()}
    replies = [reply("STOP"), reply("POISON")]
    mixed = job(report(), report("POISON"), submission(), replies=replies, error="item 9 is odd")
    async with writing("", connect=server.connect) as writer:
        receipt = await writer.write(mixed)
    refused = {mixed.reports[1].report_id, "POISON"}
    assert (receipt.refused.keys(), receipt.stored) == (refused, set(mixed.ids) - refused)
    assert server.rejected == [(b"by hand", "item 9 is odd")]


@in_virtual_time
async def test_a_fault_of_ours_with_one_row_is_isolated_like_poison_and_told_by_its_type_alone(server):
    server.of_code = {"ODD": ZeroDivisionError("quotes the row")}
    async with writing("", connect=server.connect) as writer:
        with captured_log() as log:
            good, bad = await outcomes(writer, of("a"), of("b", "ODD"))
        assert writer.available
    assert (len(good.stored), len(bad.refused)) == (1, 1)
    told = [(line["error"], line["reports"]) for line in log.events("writer.failed")]
    assert told == [("ZeroDivisionError", 2), ("ZeroDivisionError", 1)]
    assert "quotes" not in log.text


@in_virtual_time
async def test_a_body_that_not_even_the_rejected_take_is_told_of_as_lost(server):
    server.of_error = {"POISON": poison()}
    lost = job(error="POISON")
    async with writing("", connect=server.connect) as writer:
        with captured_log() as log:
            assert await writer.write(lost) == Receipt()
    assert [line["request_id"] for line in log.events("payload.lost")] == [lost.callback.request_id]


@in_virtual_time
async def test_an_outage_while_poison_is_looked_for_refuses_them_all(server):
    server.faults = [poison(), OSError("away")]
    async with writing("", connect=server.connect) as writer:
        assert [type(one) for one in await outcomes(writer, of("a"), of("b"))] == [DatabaseUnavailable] * 2


@pytest.mark.parametrize(
    "error", [asyncpg.InvalidParameterValueError("no zone"), UnicodeError("no host"), RuntimeError("odd")], ids=repr
)
@in_virtual_time
async def test_no_row_is_to_blame_for_what_ends_the_attempt_to_connect(server, error):
    server.of_connecting = error
    async with writing("", connect=server.connect) as writer:
        with captured_log() as log:
            assert [type(one) for one in await outcomes(writer, of("a"), of("b"))] == [DatabaseUnavailable] * 2
    assert [line["detail"] for line in log.events("database.unavailable")] == [f"{type(error).__name__}: {error}"]


@pytest.mark.parametrize("error", [asyncpg.DeadlockDetectedError("d"), asyncpg.SerializationError("s")], ids=repr)
@in_virtual_time
async def test_a_deadlock_is_tried_again_at_once_on_the_same_connection(server, error):
    server.faults = [error, error]
    async with writing("", connect=server.connect) as writer:
        with captured_log() as log:
            assert (await writer.write(of("a"))).stored
    assert (len(log.events("database.retry")), len(server.connections)) == (2, 1)


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"faults": [asyncpg.DeadlockDetectedError("d")] * 3}, "retries did not help"),
        # PostgreSQL answers ROLLBACK to a COMMIT where the transaction had failed, and raises no error.
        ({"prepares": False, "commits": False}, "the transaction was rolled back"),
    ],
    ids=["deadlocks without end", "a commit that rolled back"],
)
@in_virtual_time
async def test_what_is_not_committed_counts_as_an_outage(server, changes, detail):
    for name, value in changes.items():
        setattr(server, name, value)
    async with writing("", connect=server.connect) as writer:
        with captured_log() as log, pytest.raises(DatabaseUnavailable):
            await writer.write(of("a"))
    assert [line["detail"] for line in log.events("database.unavailable")] == [detail]


@in_virtual_time
async def test_a_missing_partition_is_made_for_each_day_and_the_rows_are_stored(server):
    server.faults = [partition_missing()]
    days = [NOON - timedelta(days=3), NOON, NOON]
    async with writing("", connect=server.connect) as writer:
        with captured_log() as log:
            receipts = await outcomes(writer, *(of(str(n), received_at=at) for n, at in enumerate(days)))
    assert all(receipt.stored for receipt in receipts)
    assert server.days == [days[0].date(), NOON.date()]
    assert len(log.events("partitions.missing")) == 1


@in_virtual_time
async def test_what_a_full_message_takes_no_more_is_refused_and_the_rest_stored(server):
    server.known = lambda message: message != "full"
    async with writing("", connect=server.connect) as writer:
        full, good = await outcomes(writer, of("full"), of("a"))
    assert list(full.refused.values()) == ["more than 512 different reports about one message"]
    assert good.stored
