"""Statistics in the vendors' own terms: what each count counts, and that every failed receipt is in one class."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.databases import emptied
from support.reports import NOON, PROVIDER, job, report, store, submission
from support.service import Service
from support.submissions import answer, hand_over

from receiver.report import FINAL, ProviderName, Reason, Status

CLASSES = {
    "internal_error": "internal_error_count",
    "invalid_number": "invalid_number_count",
    "shutdown": "shutdown_error_count",
    "black_list": "black_list_count",
    "frequency_limit": "frequency_limit_count",
    "other": "other_failure_count",
}
DOCUMENTED = {
    "internal_error": "carrier_error no_report",
    "invalid_number": "invalid_number",
    "shutdown": "expired handset_error number_unavailable suspended unreachable",
    "black_list": "blocklisted",
    "frequency_limit": "rate_limited",
    "other": "blocked content_rejected duplicate_recipient insufficient_balance not_permitted number_ported"
    " platform_error unknown",
}
"""By what the vendor says of each count: the carrier's own error, an invalid number, a phone that is off or out of
service, a blocked number, the carrier's rate limit."""
RECEIPTS = "SELECT * FROM sms.receipt_statistics ORDER BY hour, provider"
SENT = "SELECT * FROM sms.send_statistics ORDER BY hour, provider"
FAILED = sorted(FINAL - {Status.DELIVERED})
LATER = NOON + timedelta(hours=1)


@pytest.fixture
async def sql(shared_database: str) -> AsyncIterator[asyncpg.Connection]:
    async with emptied(shared_database) as connection:
        yield connection


def failures(row: asyncpg.Record) -> dict[str, int]:
    """The classes of failure that are not empty."""
    return {name: row[column] for name, column in CLASSES.items() if row[column]}


async def test_each_class_is_what_the_vendors_statistics_say(sql: asyncpg.Connection) -> None:
    """Refused content, a missing permission and an empty account counted as the carrier's internal error."""
    found: dict[str, list[str]] = {}
    for row in await sql.fetch("SELECT reason, class FROM sms_data.failure_class ORDER BY reason"):
        found.setdefault(row["class"], []).append(row["reason"])
    assert found == {name: reasons.split() for name, reasons in DOCUMENTED.items()}
    assert sorted(" ".join(DOCUMENTED.values()).split()) == sorted(Reason)


async def test_each_failed_receipt_is_in_exactly_one_class_whatever_its_reason_and_status(
    sql: asyncpg.Connection,
) -> None:
    """Each pair of them at a platform of its own; a reason that is missing counts too."""
    pairs = [(status, reason) for status in FAILED for reason in (*Reason, None)]
    await store(
        sql,
        *(
            job(report(str(n), provider=ProviderName(f"p{n}"), message_id=f"m-{n}", status=status, reason=reason))
            for n, (status, reason) in enumerate(pairs)
        ),
    )
    class_of = dict(await sql.fetch("SELECT reason, class FROM sms_data.failure_class"))
    rows = {row["provider"]: row for row in await sql.fetch(RECEIPTS)}
    assert len(rows) == len(pairs)
    for n, (_, reason) in enumerate(pairs):
        row = rows[f"p{n}"]
        assert (row["callback_count"], row["callback_success_count"], row["callback_fail_count"]) == (1, 0, 1)
        assert failures(row) == {class_of.get(reason, "other"): 1}


some_statuses = st.lists(
    st.tuples(st.sampled_from(list(Status)), st.none() | st.sampled_from(list(Reason)), st.booleans()), max_size=25
)


@settings(max_examples=15)
@given(drawn=some_statuses)
async def test_the_classes_add_up_to_the_failed_receipts(shared_database: str, drawn: list) -> None:
    async with emptied(shared_database) as sql:
        await store(
            sql,
            *(
                job(report("1", message_id=str(n), status=one, reason=reason))
                for n, (one, reason, _) in enumerate(drawn)
            ),
            *(job(submission(message_id=str(n))) for n, (_, _, submitted) in enumerate(drawn) if submitted),
        )
        found = await sql.fetch(RECEIPTS)
    final = [status for status, _, _ in drawn if status in FINAL]
    assert sum(row["callback_count"] for row in found) == len(final)
    assert sum(row["callback_success_count"] for row in found) == final.count(Status.DELIVERED)
    assert sum(row["request_success_count"] for row in found) == sum(submitted for _, _, submitted in drawn)
    for row in found:
        assert row["callback_success_count"] + row["callback_fail_count"] == row["callback_count"]
        assert sum(failures(row).values()) == row["callback_fail_count"]


async def test_receipts_are_counted_in_the_hour_of_their_submission(sql: asyncpg.Connection) -> None:
    await store(
        sql,
        job(submission(message_id="a")),
        job(submission(message_id="b", submitted_at=NOON + timedelta(minutes=59))),
        job(submission(message_id="c", submitted_at=LATER)),
        job(submission("E200041", message_id="refused", submitted_at=LATER)),
        job(report("DELIVRD", message_id="a"), report("MK:0001", message_id="b"), received_at=LATER),
        job(report("DELIVRD", message_id="nobody-submitted"), received_at=LATER),
    )
    first, second = await sql.fetch(RECEIPTS)
    assert (first["hour"], second["hour"], first["provider"]) == (NOON, LATER, PROVIDER)
    assert (first["request_success_count"], first["callback_count"]) == (2, 2)
    assert (first["callback_success_count"], failures(first)) == (1, {"shutdown": 1})
    assert (second["request_success_count"], second["callback_count"], second["callback_success_count"]) == (1, 1, 1)
    assert second["callback_fail_count"] == 0, "a refusal is no receipt"


async def test_what_is_under_way_is_no_receipt_and_a_long_message_is_one(sql: asyncpg.Connection) -> None:
    await store(
        sql,
        job(submission(message_id="a", segments=2), report("ACCEPTD", message_id="b"), report("-3", message_id="c")),
        job(report("DELIVRD", message_id="a", segment=1, segments=2)),
    )
    (row,) = await sql.fetch(RECEIPTS)
    assert (row["request_success_count"], row["callback_count"], failures(row)) == (1, 0, {})
    await store(sql, job(*(report("UNDELIV", message_id="long", segment=n, segments=3) for n in (1, 2, 3))))
    (row,) = await sql.fetch(RECEIPTS)
    assert (row["callback_count"], row["callback_fail_count"]) == (1, 1)


async def test_what_was_sent_and_charged_is_counted_for_every_provider(service: Service) -> None:
    names = {
        "huawei": ["huawei/sample-code-inside-result", "huawei/one-taken-two-refused"],
        "cloudsms": ["cloudsms/sample-single", "cloudsms/refused"],
        "tencent": ["tencent/with-response", "tencent/refused-without-serial-numbers"],
    }
    given = [answer(name) for several in names.values() for name in several]
    await asyncio.gather(*(hand_over(service, one.path, one.body) for one in [*given, *given]))
    rows = await service.rows(
        "SELECT provider, sum(fee_count)::int AS fee, sum(request_count)::int AS requests, "
        "sum(request_success_count)::int AS taken FROM sms.send_statistics GROUP BY 1"
    )
    assert {row.pop("provider"): tuple(row.values()) for row in rows} == {
        "huawei": (2 + 1, 1 + 3, 1 + 1),
        "cloudsms": (1 + 1, 1 + 6, 1 + 1),
        "tencent": (1 + 2 + 1, 2 + 3, 2 + 1),
    }
    hours = {(row["hour"], row["provider"]) for row in await service.rows(SENT)}
    assert (datetime(2018, 5, 25, 16, tzinfo=UTC), "huawei") in hours
    assert (datetime(2022, 3, 7, 2, tzinfo=UTC), "cloudsms") in hours
