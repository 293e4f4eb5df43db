"""What the rounds of maintenance decide, on a connection that answers as told. Their SQL is tried with a server."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any

import asyncpg
import pytest
from support.capture import captured_log
from support.reports import job, report

from receiver.store import sql
from receiver.store.maintenance import overdue, partitions, rejected_quota
from receiver.store.maintenance.partitions import Maintenance, set_days_left_from
from receiver.store.maintenance.rejected_quota import RejectedQuota, keep_within
from receiver.telemetry.metrics import Metrics

TODAY = date(2026, 3, 1)
MOST = 64_000
SHARE = MOST // 16


class Connection:
    """Answers to statements by their beginning: each is asked for its answers in turn, the last one for good."""

    def __init__(self, answers: Mapping[str, list[Any]]) -> None:
        self._answers = {" ".join(statement.split()): list(given) for statement, given in answers.items()}
        self.asked: list[str] = []

    async def execute(self, statement: str, *_args: object) -> Any:
        text = " ".join(statement.split())
        self.asked.append(text)
        given = next(given for known, given in self._answers.items() if text.startswith(known))
        answer = given.pop(0) if len(given) > 1 else given[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    fetch = fetchval = execute

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        yield

    def times(self, beginning: str) -> int:
        return len([text for text in self.asked if text.startswith(beginning)])


@pytest.fixture(autouse=True)
def _a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "today", lambda: TODAY)


def dropped(metrics: Metrics, reason: str) -> float | None:
    return metrics.registry.get_sample_value("receiver_rejected_payloads_dropped_total", {"reason": reason})


def junk(size: int) -> Any:
    return job(body=b"x" * (size - rejected_quota._ROW_BYTES - 1), error="?")


def kept(quota: RejectedQuota, size: int) -> bool:
    with quota.admitted(junk(size)) as admitted:
        return admitted.error is not None


def test_until_somebody_looks_a_sixteenth_of_the_bound_is_kept(metrics: Metrics):
    quota = RejectedQuota(metrics, MOST)
    assert kept(quota, SHARE // 4)
    assert not quota.check_wanted.is_set()
    assert kept(quota, SHARE // 2)
    assert quota.check_wanted.is_set(), "the next look is due before it runs out"
    assert rejected_quota.periodic(quota, days=30).wake is quota.check_wanted
    assert not kept(quota, SHARE // 2)
    assert kept(quota, SHARE // 4)
    assert (dropped(metrics, "size"), dropped(metrics, "age")) == (1, 0)


@pytest.mark.parametrize(
    ("room", "left"), [(MOST, SHARE), (SHARE * 4, SHARE), (SHARE * 2, SHARE // 2), (0, 0), (-1_000, 0)]
)
def test_after_a_look_an_instance_has_its_part_of_the_room_and_never_more_than_a_share(
    metrics: Metrics, room: int, left: int
):
    quota = RejectedQuota(metrics, MOST)
    quota.renew(room)
    assert not kept(quota, left + 600)
    assert kept(quota, left) is (left > 0)


def test_what_is_being_written_is_not_room_yet(metrics: Metrics):
    quota = RejectedQuota(metrics, MOST)
    with quota.admitted(junk(SHARE // 2)):
        quota.renew(MOST)
        assert not kept(quota, SHARE)
        assert kept(quota, SHARE // 2)


def test_what_could_not_be_written_takes_no_room(metrics: Metrics):
    quota = RejectedQuota(metrics, MOST)
    with pytest.raises(OSError, match="away"), quota.admitted(junk(SHARE)):
        raise OSError("away")
    assert kept(quota, SHARE)


def test_what_was_understood_needs_none(metrics: Metrics):
    quota = RejectedQuota(metrics, 0)
    good = job(report())
    with quota.admitted(good) as admitted:
        assert admitted is good


MAKE_ROOM, ROOM = "SELECT room, dropped", "SELECT $1 - sms_data.rejected_bytes()"
DELETE = "DELETE FROM sms_data.rejected"


async def test_the_ring_moves_until_a_quarter_is_free_and_the_oldest_go_in_small_transactions(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rejected_quota, "_DELETE_BATCH", 10)
    quota = RejectedQuota(metrics, MOST)
    connection = Connection(
        {MAKE_ROOM: [[(-5, 3)], [(100, 4)], [(MOST, 0)]], DELETE: ["DELETE 10", "DELETE 10", "DELETE 2"]}
    )
    with captured_log() as log:
        await keep_within(connection, quota, days=30)
        await asyncio.sleep(0)
    assert (connection.times(MAKE_ROOM), connection.times(DELETE)) == (3, 3)
    assert (dropped(metrics, "size"), dropped(metrics, "age")) == (7, 22)
    assert [(line["size_count"], line["age_count"]) for line in log.events("rejected.dropped")] == [(7, 22)]
    assert kept(quota, SHARE)


async def test_while_a_backup_reads_the_oldest_there_is_the_room_that_there_is(metrics: Metrics):
    quota = RejectedQuota(metrics, MOST)
    lock = asyncpg.LockNotAvailableError("held")
    connection = Connection({MAKE_ROOM: [lock], ROOM: [2_000], DELETE: ["DELETE 0"]})
    with captured_log() as log:
        await keep_within(connection, quota, days=30)
        await asyncio.sleep(0)
    assert log.lines == []
    assert not kept(quota, 600)


def days(*ahead: int) -> list[dict[str, date]]:
    return [{"day": TODAY + timedelta(days=n)} for n in ahead]


def partition(name: str, *, attached: bool = True, detaching: bool = False) -> dict[str, object]:
    return {"parent": name[:-9], "name": name, "attached": attached, "detaching": detaching}


def gone(rows: int) -> list[tuple[int, int, None]]:
    return [(rows, rows, None)]


def server(**changes: list[Any]) -> Connection:
    """Three days are there, nothing is old, and the role is the owner's."""
    answers = {
        "create": (sql.CREATE_PARTITIONS, [2]),
        "complete": (sql.COMPLETE_DAYS, [days(0, 1, 2)]),
        "owner": (sql.IS_OWNER, [True]),
        "old": (sql.OLD_PARTITIONS, [[]]),
        "lock": (sql.SET_LOCK_TIMEOUT, [None]),
        "alter": ("ALTER TABLE", [None]),
        "drop": ("DROP TABLE", [None]),
        "delete": ("WITH old", [gone(0)]),
        "counts": ("UPDATE sms_data.counts_only", [None]),
        "patience": ("SET LOCAL lock_timeout", [None]),
        "old counts": ("DELETE FROM sms_data.", [None]),
        "codes": ("SELECT sms_data.thin_counts", [None]),
        "citus": ("SELECT EXISTS (SELECT FROM pg_extension", [False]),
    }
    return Connection({statement: changes.get(name, given) for name, (statement, given) in answers.items()})


async def round_of(maintenance: Maintenance, connection: Connection) -> list[dict[str, Any]]:
    """The lines that it logs."""
    with captured_log() as log:
        await maintenance.round(connection)
        await asyncio.sleep(0)
    return log.lines


@pytest.mark.parametrize(
    ("complete", "left"), [((0, 1, 2), 2), ((0, 1, 3), 1), ((0,), 0), ((1, 2), 0), ((), 0)], ids=str
)
async def test_days_are_left_as_far_as_there_is_no_gap(metrics: Metrics, complete: tuple[int, ...], left: int):
    maintenance = Maintenance(days_ahead=2, retention_days=None)
    set_days_left_from(metrics, lambda: maintenance.days_left)
    assert maintenance.days_left is None
    connection = server(complete=[days(*complete)])
    (line,) = await round_of(maintenance, connection)
    assert (line["event"], line["created"], line["days_left"]) == ("partitions.maintained", 6, left)
    assert connection.times("SELECT sms_data.create_partitions") == 3
    assert maintenance.days_left == left
    assert metrics.registry.get_sample_value("receiver_partitions_left_days") == left


async def test_the_days_left_grow_fewer_while_no_round_succeeds(monkeypatch: pytest.MonkeyPatch):
    maintenance = Maintenance(days_ahead=2, retention_days=None)
    await round_of(maintenance, server())
    for passed, left in ((1, 1), (2, 0), (9, 0)):
        monkeypatch.setattr(partitions, "today", lambda passed=passed: TODAY + timedelta(days=passed))
        assert maintenance.days_left == left


@pytest.mark.parametrize("owner", [True, False], ids=["the owner", "beside an owner that does its part"])
async def test_a_round_with_nothing_to_do_says_nothing(owner):
    assert await round_of(Maintenance(days_ahead=2, retention_days=30), server(owner=[owner], create=[0])) == []


async def test_the_owner_detaches_drops_and_finishes_what_was_begun():
    begun, whole = partition("report_20260101", detaching=True), partition("report_20260102")
    old = [begun, whole, partition("reply_20260102", attached=False)]
    connection = server(create=[0], old=[old], delete=[gone(1000), gone(7), gone(1), gone(0)])
    (line,) = await round_of(Maintenance(days_ahead=0, retention_days=30), connection)
    assert line["dropped"] == [one["name"] for one in old]
    assert line["deleted"] == 1_008
    assert [text.split()[-1] for text in connection.asked if text.startswith("ALTER")] == ["FINALIZE", "CONCURRENTLY"]


async def test_what_another_instance_has_dropped_is_passed_over():
    old = [partition("report_20260101"), partition("report_20260102")]
    connection = server(create=[0], old=[old], alter=[asyncpg.DeadlockDetectedError("d"), None])
    (line,) = await round_of(Maintenance(days_ahead=0, retention_days=30), connection)
    assert line["dropped"] == ["report_20260102"]


async def test_what_somebody_reads_waits_for_the_next_round_and_the_days_left_are_known():
    connection = server(old=[[partition("report_20260101")]], alter=[asyncpg.LockNotAvailableError("held")])
    maintenance = Maintenance(days_ahead=2, retention_days=30)
    with pytest.raises(asyncpg.LockNotAvailableError, match="report_20260101 cannot be dropped while a query reads"):
        await maintenance.round(connection)
    assert (maintenance.days_left, maintenance.overdue) == (2, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"owner": [False], "old": [[partition("report_20260101")]]},
        {"create": [asyncpg.InsufficientPrivilegeError("permission denied")]},
    ],
    ids=["not the owner", "no right at all"],
)
async def test_a_role_that_may_not_is_told_to_the_operator_and_is_no_failure(changes: dict[str, list[Any]]):
    (line,) = await round_of(Maintenance(days_ahead=2, retention_days=30), server(**changes))
    assert (line["event"], line["level"]) == ("partitions.not_permitted", "warning")
    assert "receiver maintain" in line["advice"]


async def test_windows_and_lags_are_refreshed_together():
    answers = {"INSERT INTO sms_data.reporting_window": ["INSERT 0 1"], "LOCK": [None], "WITH step": ["INSERT 0 1"]}
    connection = Connection(answers)
    await overdue.periodic({"huawei": 72}).run(connection)
    assert len(connection.asked) == 3


async def test_an_instance_leaves_the_lags_to_another_that_measures_them():
    answers = {"INSERT INTO sms_data.reporting_window": ["INSERT 0 1"], "LOCK": [asyncpg.LockNotAvailableError("held")]}
    await overdue.periodic({"huawei": 72}).run(Connection(answers))
