"""Overdue messages: taken by the platform, and not told the end of, by its window or by its own usual lag."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import permutations, product

import asyncpg
import pytest
from support import service as services
from support.reports import NOON, job, report, submission
from support.submissions import hand_over, huawei
from support.waiting import eventually

from receiver.providers import PROVIDERS
from receiver.report import ProviderName
from receiver.settings import Settings
from receiver.store import postgres
from receiver.store.job import Job
from receiver.store.maintenance import overdue as reporting

WINDOWS = {provider.name: provider.reporting_window_h for provider in PROVIDERS} | {
    "huawei": 72,
    "cloudsms": 25,
    "tencent": 72,
}
OVERDUE = "SELECT * FROM sms.overdue_message ORDER BY message_id"
LAG = "SELECT country, messages, p99_s FROM sms_data.reporting_lag ORDER BY country"


def ago(hours: float) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)


async def store(sql: asyncpg.Connection, *jobs: Job) -> None:
    await postgres.create_partitions(postgres.Session(sql), jobs)
    await postgres.write(postgres.Session(sql), jobs, 20.0)


def taken(name: str, hours: float, **changes: object) -> Job:
    """A message that was handed in so many hours ago and is under way."""
    return job(submission(message_id=name, submitted_at=ago(hours), **changes))


def reported(name: str, after_s: float, country: str | None = "CN", code: str = "DELIVRD") -> list[Job]:
    """A message of yesterday with its final report, which came so many seconds after the submission."""
    at = ago(24)
    return [
        job(submission(message_id=name, submitted_at=at, country=country), received_at=at),
        job(report(code, message_id=name), received_at=at + timedelta(seconds=after_s)),
    ]


async def overdue(sql: asyncpg.Connection) -> dict[str, str]:
    return {row["message_id"]: row["rule"] for row in await sql.fetch(OVERDUE)}


@pytest.mark.parametrize(("provider", "hours"), WINDOWS.items())
async def test_a_message_is_overdue_once_its_platforms_window_is_over(
    sql: asyncpg.Connection, provider: str, hours: int
) -> None:
    await reporting.refresh(sql, WINDOWS)
    name = ProviderName(provider)
    await store(sql, taken("over", hours + 1, provider=name), taken("within", hours - 1, provider=name))
    (row,) = await sql.fetch(OVERDUE)
    assert (row["message_id"], row["rule"], row["status"]) == ("over", "window", "enroute")
    assert row["expected_s"] == hours * 3600
    assert row["waiting_s"] > row["expected_s"]


async def test_a_message_is_no_longer_overdue_once_its_end_is_told(sql: asyncpg.Connection) -> None:
    await reporting.refresh(sql, WINDOWS)
    names = ("accepted", "delivered", "expired", "half", "silent")
    await store(sql, *(taken(name, 100, segments=2 if name == "half" else None) for name in names))
    assert set(await overdue(sql)) == set(names)
    await store(
        sql,
        job(
            report("ACCEPTD", message_id="accepted"),
            report("DELIVRD", message_id="delivered"),
            report("EXPIRED", message_id="expired"),
            report("DELIVRD", message_id="half", segment=1, segments=2),
        ),
    )
    assert set(await overdue(sql)) == {"accepted", "half", "silent"}


async def test_a_message_that_ended_before_its_submission_was_known_is_never_overdue(sql: asyncpg.Connection) -> None:
    await reporting.refresh(sql, WINDOWS)
    await store(sql, job(report("DELIVRD", message_id="early"), report("ACCEPTD", message_id="under-way")))
    assert await overdue(sql) == {}
    await store(sql, taken("early", 100), taken("under-way", 100), taken("refused", 100))
    await store(sql, job(submission("E200041", message_id="refused", submitted_at=ago(100))))
    assert await overdue(sql) == {"under-way": "window"}


async def test_a_message_that_nobody_submitted_is_not_awaited(sql: asyncpg.Connection) -> None:
    await reporting.refresh(sql, WINDOWS)
    await store(sql, job(report("ACCEPTD", message_id="m-1", happened_at=ago(100)), received_at=ago(100)))
    assert await overdue(sql) == {}


async def test_a_message_under_way_is_awaited_since_its_submission_in_every_order_and_grouping(
    sql: asyncpg.Connection,
) -> None:
    query = "SELECT awaited_since, submitted_at, status, segments_reported FROM sms_data.message WHERE message_id = $1"
    orders = [(order, cuts) for order in permutations(range(4)) for cuts in product((False, True), repeat=3)]
    for number, (order, cuts) in enumerate(orders):
        name = f"m-{number}"
        rows = (
            job(submission(message_id=name, segments=2)),
            job(submission(message_id=name, segments=2)),
            job(report("ACCEPTD", message_id=name)),
            job(report("DELIVRD", message_id=name, segment=1, segments=2)),
        )
        group: list[Job] = []
        for position, cut in zip(order, (*cuts, True), strict=True):
            group.append(rows[position])
            if cut:
                await store(sql, *group)
                group = []
        (row,) = await sql.fetch(query, name)
        assert tuple(row) == (NOON, NOON, "accepted", 2), (order, cuts)


async def test_a_hundred_messages_tell_what_is_late_for_their_country(sql: asyncpg.Connection) -> None:
    """Of a hundred, 99 took a hundred seconds and one an hour; where all are quick, a minute is allowed."""
    jobs = [one for number in range(100) for one in reported(f"m-{number}", 3600 if number == 0 else 100)]
    await store(sql, *jobs, *(one for number in range(99) for one in reported(f"hk-{number}", 100, country="HK")))
    await store(sql, *(one for number in range(100) for one in reported(f"x-{number}", 10, None, "UNDELIV")))
    await store(
        sql,
        taken("late", 1, country="CN"),
        taken("in-time", 0, country="CN"),
        taken("too-few-to-tell", 1, country="HK"),
        taken("nowhere", 1),
        taken("other-platform", 1, provider=ProviderName("tencent"), country="CN"),
    )
    await reporting.refresh(sql, WINDOWS)
    lags = {row["country"]: (row["messages"], row["p99_s"]) for row in await sql.fetch(LAG)}
    assert lags.keys() == {"CN", ""}
    assert lags[""] == (100, pytest.approx(60))
    assert lags["CN"][0] == 100
    assert 100 <= lags["CN"][1] < 200
    assert await overdue(sql) == {"late": "lag", "nowhere": "lag"}


async def test_a_platform_that_is_slower_than_its_window_is_judged_by_the_window(sql: asyncpg.Connection) -> None:
    await store(sql, *(one for number in range(100) for one in reported(f"m-{number}", 20 * 3600)))
    await store(sql, taken("m-late", 6, country="CN"), taken("m-in-time", 4, country="CN"))
    await reporting.refresh(sql, {"huawei": 5})
    assert await overdue(sql) == {"m-late": "window"}


async def test_a_lag_that_nothing_supports_any_more_is_forgotten(sql: asyncpg.Connection) -> None:
    await store(sql, *(one for number in range(100) for one in reported(f"m-{number}", 10)))
    await reporting.refresh(sql, WINDOWS)
    assert len(await sql.fetch(LAG)) == 1
    await sql.execute("DELETE FROM sms_data.message")
    await reporting.refresh(sql, WINDOWS)
    assert await sql.fetch(LAG) == []


async def test_messages_without_a_report_do_not_make_a_platform_look_quick(sql: asyncpg.Connection) -> None:
    """A refusal is final at once, and is not what a report takes."""
    await store(sql, *(job(submission("E200041", message_id=f"m-{n}", submitted_at=ago(2))) for n in range(150)))
    await reporting.refresh(sql, WINDOWS)
    assert await sql.fetch(LAG) == []


async def test_a_running_service_has_the_windows_of_its_settings(make_settings: Callable[..., Settings]) -> None:
    created = ago(50).strftime("%Y-%m-%dT%H:%M:%SZ")
    async with services.running(make_settings()) as service:
        query = "SELECT provider, hours FROM sms_data.reporting_window"
        await eventually(lambda: _has(service, query, len(PROVIDERS)))
        assert {row["provider"]: row["hours"] for row in await service.rows(query)} == WINDOWS
        await hand_over(service, "/submissions/huawei", huawei("m-1", createTime=created))
        assert await service.rows(OVERDUE) == []
    async with services.running(make_settings(reporting_windows_h="huawei=48, cloudsms=1")) as service:
        await eventually(lambda: _has(service, OVERDUE, 1))
        found = {row["provider"]: row["hours"] for row in await service.rows(query)}
        assert found == WINDOWS | {"huawei": 48, "cloudsms": 1}
    async with services.running(make_settings()) as service:
        await eventually(lambda: _has(service, OVERDUE, 0))


async def _has(service: services.Service, query: str, number: int) -> bool:
    return len(await service.rows(query)) == number


@pytest.mark.parametrize(
    "value", ["huawei", "huawei=", "=3", "huawei=0", "huawei=-1", "huawei=3h", "huawei=99999999999"]
)
def test_a_window_that_is_no_number_of_hours_stops_the_start(
    make_settings: Callable[..., Settings], value: str
) -> None:
    with pytest.raises(ValueError, match="reporting_windows_h"):
        make_settings(reporting_windows_h=value)
