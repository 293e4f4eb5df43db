"""The dashboards' SQL, as Grafana sends it, asked by a dashboard's login: what it finds is what there is."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import asyncpg
import pytest
from support import grafana
from support.databases import connected, migrated_copy
from support.grafana import DASHBOARDS, Panel, Value, expand
from support.reports import MEANINGS, job, report, submission

from receiver.providers import PROVIDERS
from receiver.report import FINAL, ProviderName
from receiver.store import postgres
from receiver.store.maintenance import counts, overdue

HOUR = timedelta(hours=1)
NOW = datetime.now(UTC)
UNTIL = NOW.replace(minute=0, second=0, microsecond=0)
DAY = UNTIL - timedelta(days=1)
CODES = ("DELIVRD", "DELIVRD", "DELIVRD", "UNDELIV", "REJECTD", "EXPIRED", "ACCEPTD", "NEVER-SEEN")
HOSTILE = ["huawei' OR 'a' = 'a", "'; SELECT pg_sleep(60); --", "\\", "\\'", '"', "${provider}", "$1", "ü", ""]


class Sent(NamedTuple):
    """A message, and what became of it."""

    at: datetime
    provider: str
    country: str | None
    code: str
    took_s: int | None
    """Seconds from submission to its report; None where nobody told of the submission."""

    @property
    def outcome(self) -> str:
        status = MEANINGS[self.code][0]
        return status if status == "delivered" else "failed" if status in FINAL else "under way"


def sent() -> Iterator[Sent]:
    """Some in each hour of ten days, by two platforms. To SG nothing is delivered."""
    for number in range(10 * 24):
        for one in range(3):
            at = UNTIL - number * HOUR - timedelta(minutes=20 + one)
            mixed = number * 3 + one
            yield Sent(
                at,
                ("huawei", "tencent")[mixed % 2],
                ("CN", "HK", None)[mixed % 3],
                CODES[mixed % len(CODES)],
                (1 + mixed * 7 % 500) if mixed % 4 < 2 else None,
            )
        yield Sent(UNTIL - number * HOUR - timedelta(minutes=30), "huawei", "SG", "UNDELIV", None)


SENT = list(sent())


@pytest.fixture(scope="module")
async def reader(cluster: str, template: str) -> AsyncIterator[asyncpg.Connection]:
    async with migrated_copy(cluster, template) as url, connected(url) as sql:
        jobs = []
        for number, one in enumerate(SENT):
            named = {"message_id": f"m-{number}", "provider": ProviderName(one.provider), "country": one.country}
            if one.took_s is not None:
                jobs.append(job(submission(submitted_at=one.at, **named), received_at=one.at))
            at = one.at + timedelta(seconds=one.took_s or 0)
            jobs.append(job(report(one.code, happened_at=at, **named), received_at=at))
        silent = submission(message_id="silent", submitted_at=NOW - timedelta(days=6))
        jobs.append(job(silent, received_at=NOW - timedelta(days=6)))
        await postgres.create_partitions(postgres.Session(sql), jobs)
        await postgres.write(postgres.Session(sql), jobs, 60.0)
        await overdue.refresh(sql, {provider.name: provider.reporting_window_h for provider in PROVIDERS})
        await counts.fold(sql)
        await sql.execute("SET ROLE sms_reader")
        yield sql


async def found(
    reader: asyncpg.Connection, title: str, since: datetime = DAY, until: datetime = UNTIL, **chosen: Value
) -> list[dict[str, Any]]:
    (panel,) = (one for one in grafana.panels("delivery") if one.title == title)
    (query,) = panel.queries
    rows = await reader.fetch(
        expand(query, await grafana.opened("delivery", reader, since, until) | chosen, since, until)
    )
    return [dict(row) for row in rows]


def within(since: datetime, until: datetime) -> list[Sent]:
    """By the first that arrived about them."""
    return [one for one in SENT if since <= one.at < until]


def rate(messages: list[Sent]) -> float:
    known = Counter(one.outcome for one in messages)
    return 100 * known["delivered"] / (known["delivered"] + known["failed"])


@pytest.mark.parametrize("name", DASHBOARDS)
@pytest.mark.parametrize("step", ["1 hour", "7 days"])
@pytest.mark.parametrize("days", [1, 9, 365])
async def test_every_query_finds_something(reader: asyncpg.Connection, name: str, step: str, days: int) -> None:
    since = NOW - timedelta(days=days)
    asked = await grafana.opened(name, reader, since, NOW) | {"step": step}
    for panel in grafana.panels(name):
        for query in panel.queries:
            rows = await reader.fetch(expand(query, asked, since, NOW))
            assert rows, panel.title
            assert linked(panel) <= set(rows[0].keys()), panel.title
            if panel.json["targets"][0]["format"] == "time_series":
                times = [row["time"] for row in rows]
                assert times == sorted(times), panel.title


def linked(panel: Panel) -> set[str]:
    """The columns that the panel's links name."""
    return set(grafana.FIELD.findall(str(panel.json["fieldConfig"])))


async def test_a_variables_value_is_a_value_whatever_it_is(reader: asyncpg.Connection) -> None:
    for panel in grafana.panels("delivery"):
        for name in ("provider", "country", "status"):
            if f"${{{name}:" not in panel.queries[0]:
                continue
            rows = await found(reader, panel.title, **{name: HOSTILE})
            assert not any(value for row in rows for value in row.values()), (panel.title, name)
            known = (await grafana.opened("delivery", reader, DAY, UNTIL))[name]
            assert await found(reader, panel.title, **{name: [*HOSTILE, *known]}), (panel.title, name)
        if "${step:" in panel.queries[0]:
            with pytest.raises(asyncpg.InvalidDatetimeFormatError):
                await found(reader, panel.title, step="1 hour') --")
        assert "${pages" not in panel.queries[0]


async def test_counts_and_rates_are_those_of_the_messages(reader: asyncpg.Connection) -> None:
    day, week = timedelta(days=1), timedelta(days=7)
    for since in (DAY, UNTIL - 2 * day - 7 * HOUR):
        spans = {
            name: within(since - back, UNTIL - back)
            for name, back in (("this period", 0 * day), ("a day before", day), ("a week before", week))
        }
        (messages,) = await found(reader, "Messages", since)
        assert messages == {name: len(span) for name, span in spans.items()}
        (rates,) = await found(reader, "Delivered, of the final", since)
        assert {name: float(one) for name, one in rates.items()} == pytest.approx(
            {name: rate(span) for name, span in spans.items()}
        )

    outcomes = await found(reader, "Messages by outcome")
    known = Counter(one.outcome for one in within(DAY, UNTIL))
    assert {name: sum(row[name] or 0 for row in outcomes) for name in known} == known
    series = await found(reader, "Delivery rate, beside the day and the week before")
    first = {row["metric"]: float(row["delivered"]) for row in series if row["time"] == DAY}
    assert first == pytest.approx(
        {
            "this period": rate(within(DAY, DAY + HOUR)),
            "a day before": rate(within(DAY - day, DAY - day + HOUR)),
            "a week before": rate(within(DAY - week, DAY - week + HOUR)),
        }
    )


async def test_the_funnel_is_of_messages_whose_submission_was_handed_over(reader: asyncpg.Connection) -> None:
    handed_over = [one for one in within(DAY, UNTIL) if one.took_s is not None and one.provider == "tencent"]
    known = Counter(one.outcome for one in handed_over)
    (funnel,) = await found(reader, "From submission to the end", provider=["tencent"])
    assert (funnel.pop("submitted"), funnel.pop("accepted"), funnel.pop("overdue")) == (len(handed_over),) * 2 + (0,)
    assert {name: count for name, count in funnel.items() if count} == known
    (funnel,) = await found(reader, "From submission to the end", NOW - timedelta(days=7), country=["-"])
    assert funnel["overdue"] == 1


async def test_failures_are_told_apart_by_reason_and_by_code_with_what_to_do(reader: asyncpg.Connection) -> None:
    failed = [one for one in within(DAY, UNTIL) if one.outcome == "failed"]
    reasons = await found(reader, "Failures by reason")
    summed: Counter[str] = Counter()
    for row in reasons:
        summed[row["metric"]] += row["messages"]
    assert summed == Counter(MEANINGS[one.code][1] for one in failed)
    codes = await found(reader, "Failures by code, and what to do")
    assert {(row["provider"], row["code"]): row["messages"] for row in codes} == Counter(
        (one.provider, one.code) for one in failed
    )
    assert sum(row["share"] for row in codes) == pytest.approx(100)
    assert all(row["meaning"] and row["advice"] for row in codes if row["provider"] == "huawei")


async def test_delivery_times_are_those_of_the_messages(reader: asyncpg.Connection) -> None:
    since = UNTIL - timedelta(days=3)
    times = sorted(one.took_s for one in within(since, UNTIL) if one.outcome == "delivered" and one.took_s)
    for row in await found(reader, "Delivered within", since):
        seconds = {"1 s": 1, "5 s": 5, "10 s": 10, "30 s": 30, "1 min": 60, "5 min": 300, "1 h": 3600, "1 d": 86400}[
            row["within"]
        ]
        least, most = (100 * sum(took <= seconds * by for took in times) / len(times) for by in (0.95, 1.05))
        assert least <= float(row["deliveries"]) <= most, row
    rows = await found(reader, "From submission to delivery, by platform and country", since)
    assert sum(row["deliveries"] for row in rows) == len(times)
    (row,) = await found(reader, "From submission to delivery", UNTIL - HOUR, step="7 days") or [None]
    latest = [one.took_s for one in within(UNTIL - HOUR, UNTIL) if one.outcome == "delivered" and one.took_s]
    assert row["99 %"] == pytest.approx(max(latest), rel=0.05)


async def test_platforms_and_countries_add_up(reader: asyncpg.Connection) -> None:
    messages = within(DAY, UNTIL)
    for title, column, key in (
        ("By platform", "provider", lambda one: one.provider),
        ("By country", "country", lambda one: one.country or "-"),
    ):
        rows = await found(reader, title)
        assert {row[column]: row["messages"] for row in rows} == Counter(map(key, messages))
        for row in rows:
            these = [one for one in messages if key(one) == row[column]]
            known = Counter(one.outcome for one in these)
            assert (row["failed"], row["under_way"]) == (known["failed"], known["under way"])
            assert float(row["delivered"]) == pytest.approx(rate(these))


async def test_the_other_dashboard_counts_the_last_day_as_well(reader: asyncpg.Connection) -> None:
    queries = {panel.title: panel.queries[0] for panel in grafana.panels("receiver")}
    messages = [one for one in SENT if one.at >= NOW.replace(minute=0, second=0, microsecond=0) - timedelta(days=1)]
    rows = await reader.fetch(queries["Last day by country"])
    for country in ("CN", "SG"):
        these = [one for one in messages if one.country == country and one.provider == "huawei"]
        (row,) = (row for row in rows if (row["provider"], row["country"]) == ("huawei", country))
        assert row["messages"] == pytest.approx(len(these), abs=2), "the hour in which the day before began is left out"
        assert float(row["delivered_pct"]) == pytest.approx(rate(these), abs=5)


async def test_what_nobody_reported_is_shown(reader: asyncpg.Connection) -> None:
    platforms = {row["provider"]: row for row in await found(reader, "Platforms, by how long they have been silent")}
    assert platforms["cloudsms"]["silent_s"] is None
    assert platforms["huawei"]["silent_s"] in (0, 3600)  # the test may run past a full hour
    (row,) = await found(reader, "Overdue messages by platform and country")
    assert (row["provider"], row["country"], row["rule"], row["messages"]) == ("huawei", "-", "window", 1)
    (row,) = await found(reader, "Messages that are overdue longest")
    assert row["message_id"] == "silent"
    latest = await found(reader, "Latest messages", status=["rejected"], country=["CN", "HK"])
    assert len(latest) == len([one for one in within(DAY, UNTIL) if one.code == "REJECTD" and one.country])
