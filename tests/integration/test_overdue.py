"""Overdue messages: taken by the platform, and not told the end of, by its window or by its own usual lag."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from itertools import permutations, product

import asyncpg
import pytest
from support import service as services
from support.databases import emptied
from support.reports import NOON, job, report, store, submission
from support.submissions import hand_over, huawei
from support.waiting import eventually

from receiver.providers import PROVIDERS
from receiver.report import ProviderName
from receiver.settings import Settings
from receiver.store.job import Job
from receiver.store.maintenance import overdue as reporting

WINDOWS = {provider.name: provider.reporting_window_h for provider in PROVIDERS} | {
    "huawei": 72,
    "cloudsms": 25,
    "tencent": 72,
}
OVERDUE = "SELECT * FROM sms.overdue_message ORDER BY message_id"
LAG = "SELECT country, messages, p99_s FROM sms_data.reporting_lag ORDER BY country"


@pytest.fixture
async def sql(shared_database: str) -> AsyncIterator[asyncpg.Connection]:
    async with emptied(shared_database) as connection:
        yield connection


def ago(hours: float) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)


def taken(name: str, hours: float, **changes: object) -> Job:
    """A message that was handed in so many hours ago and is under way."""
    return job(submission(message_id=name, submitted_at=ago(hours), **changes))


def reported(*delays_s: float, country: str | None = "CN", code: str = "DELIVRD") -> list[Job]:
    """Messages of yesterday with their final reports, which came so many seconds after the submissions."""
    at = ago(24)
    jobs = []
    for number, delay in enumerate(delays_s):
        name = f"{country}-{number}"
        jobs += [
            job(submission(message_id=name, submitted_at=at, country=country), received_at=at),
            job(report(code, message_id=name), received_at=at + timedelta(seconds=delay)),
        ]
    return jobs


async def overdue(sql: asyncpg.Connection) -> dict[str, str]:
    return {row["message_id"]: row["rule"] for row in await sql.fetch(OVERDUE)}


async def test_a_message_is_overdue_once_its_platforms_window_is_over(sql: asyncpg.Connection) -> None:
    await reporting.refresh(sql, WINDOWS)
    for provider, hours in WINDOWS.items():
        await store(sql, *(taken(f"{provider}+{n}", hours + n, provider=ProviderName(provider)) for n in (1, -1)))
    rows = await sql.fetch(OVERDUE)
    assert {row["message_id"]: row["expected_s"] for row in rows} == {
        f"{name}+1": h * 3600 for name, h in WINDOWS.items()
    }
    assert {(row["rule"], row["status"]) for row in rows} == {("window", "enroute")}
    assert all(row["waiting_s"] > row["expected_s"] for row in rows)


async def test_a_message_is_no_longer_overdue_once_its_end_is_told(sql: asyncpg.Connection) -> None:
    """Told before its submission was known, too; and nobody waits for what nobody submitted."""
    await reporting.refresh(sql, WINDOWS)
    early = [report("DELIVRD", message_id="early"), report("ACCEPTD", message_id="under-way")]
    foreign = job(report("ACCEPTD", message_id="foreign", happened_at=ago(100)), received_at=ago(100))
    await store(sql, job(*early), foreign)
    assert await overdue(sql) == {}
    names = ("accepted", "delivered", "expired", "half", "silent", "early", "under-way", "refused")
    await store(sql, *(taken(name, 100, segments=2 if name == "half" else None) for name in names))
    assert set(await overdue(sql)) == set(names) - {"early"}
    await store(
        sql,
        job(
            report("ACCEPTD", message_id="accepted"),
            report("DELIVRD", message_id="delivered"),
            report("EXPIRED", message_id="expired"),
            report("DELIVRD", message_id="half", segment=1, segments=2),
            submission("E200041", message_id="refused", submitted_at=ago(100)),
        ),
    )
    assert await overdue(sql) == dict.fromkeys(("accepted", "half", "silent", "under-way"), "window")


async def test_a_message_under_way_is_awaited_since_its_submission_in_every_order_and_grouping(
    sql: asyncpg.Connection,
) -> None:
    """All messages in the same four transactions, each with its own order and its own pauses."""
    stories = {
        f"m-{order}-{cuts}": (order, cuts) for order in permutations(range(4)) for cuts in product((0, 1), repeat=3)
    }
    transactions: list[list[Job]] = [[], [], [], []]
    for name, (order, cuts) in stories.items():
        rows = (
            submission(message_id=name, segments=2),
            submission(message_id=name, segments=2),
            report("ACCEPTD", message_id=name),
            report("DELIVRD", message_id=name, segment=1, segments=2),
        )
        for number, position in enumerate(order):
            transactions[sum(cuts[:number])].append(job(rows[position]))
    for jobs in transactions:
        await store(sql, *jobs)
    found = await sql.fetch(
        "SELECT message_id, awaited_since, submitted_at, status, segments_reported FROM sms_data.message"
    )
    assert {name: tuple(row) for name, *row in found} == dict.fromkeys(stories, (NOON, NOON, "accepted", 2))


async def test_a_hundred_messages_tell_what_is_late_for_their_country(sql: asyncpg.Connection) -> None:
    """Of a hundred, 99 took a hundred seconds and one an hour; where all are quick, a minute is allowed."""
    await store(sql, *reported(3600, *[100] * 99), *reported(*[100] * 99, country="HK"))
    await store(sql, *reported(*[10] * 100, country=None, code="UNDELIV"))
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
    await sql.execute("TRUNCATE sms_data.report_lag_delta")
    await reporting.refresh(sql, WINDOWS)
    assert await sql.fetch(LAG) == [], "what nothing supports any more is forgotten"


async def test_a_platform_that_is_slower_than_its_window_is_judged_by_the_window(sql: asyncpg.Connection) -> None:
    await store(sql, *reported(*[20 * 3600] * 100))
    await store(sql, taken("m-late", 6, country="CN"), taken("m-in-time", 4, country="CN"))
    await reporting.refresh(sql, {"huawei": 5})
    assert await overdue(sql) == {"m-late": "window"}


async def test_messages_without_a_report_do_not_make_a_platform_look_quick(sql: asyncpg.Connection) -> None:
    """A refusal is final at once, and is not what a report takes."""
    await store(sql, *(job(submission("E200041", message_id=f"m-{n}", submitted_at=ago(2))) for n in range(150)))
    await reporting.refresh(sql, WINDOWS)
    assert await sql.fetch(LAG) == []


async def test_a_running_service_has_the_windows_of_its_settings(make_settings: Callable[..., Settings]) -> None:
    async def has(query: str, number: int) -> bool:
        return len(await service.rows(query)) == number

    query = "SELECT provider, hours FROM sms_data.reporting_window"
    async with services.running(make_settings()) as service:
        await eventually(lambda: has(query, len(PROVIDERS)))
        assert {row["provider"]: row["hours"] for row in await service.rows(query)} == WINDOWS
        await hand_over(service, "/submissions/huawei", huawei("m-1", createTime=f"{ago(50):%Y-%m-%dT%H:%M:%SZ}"))
        assert await service.rows(OVERDUE) == []
    async with services.running(make_settings(reporting_windows_h="huawei=48, cloudsms=1")) as service:
        await eventually(lambda: has(OVERDUE, 1))
        found = {row["provider"]: row["hours"] for row in await service.rows(query)}
        assert found == WINDOWS | {"huawei": 48, "cloudsms": 1}
    async with services.running(make_settings()) as service:
        await eventually(lambda: has(OVERDUE, 0))


@pytest.mark.parametrize(
    "value", ["huawei", "huawei=", "=3", "huawei=0", "huawei=-1", "huawei=3h", "huawei=99999999999"]
)
def test_a_window_that_is_no_number_of_hours_stops_the_start(value: str) -> None:
    with pytest.raises(ValueError, match="reporting_windows_h"):
        Settings(_env_file=None, reporting_windows_h=value)
