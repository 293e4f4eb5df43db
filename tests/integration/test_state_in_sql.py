"""The state of a message in SQL: the same rule as in `receiver.state`, whatever the server sorts by."""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from itertools import chain, count, pairwise
from pathlib import Path

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.databases import administrate, connected, with_database
from support.reports import (
    NOON,
    TRICKY_CODES,
    Row,
    distinct,
    job,
    parts_of,
    report,
    row_id,
    some_report,
    some_rows,
    some_submission,
    state_of,
    submission,
)

from receiver import embedded
from receiver.embedded import account
from receiver.report import FINAL, DeliveryReport, RowId, Status
from receiver.state import MessageState, Parts, merge_parts, message_state
from receiver.store import postgres, sql
from receiver.store import schema as migrate
from receiver.store.job import Job

MERGED = """
SELECT merged, state.*
FROM unnest($1::jsonb[], $2::jsonb[], $3::int[]) WITH ORDINALITY AS given (a, b, said, position),
     LATERAL (SELECT sms_data.merge_parts(a, b) AS merged OFFSET 0) AS m,
     LATERAL sms_data.message_state(merged, said) AS state
ORDER BY position
"""

some_cases = st.lists(
    st.tuples(some_rows, some_rows, st.one_of(st.none(), st.integers(1, 6), st.just(300))),
    min_size=10,
    max_size=30,
)

WHOLE = """
SELECT m.recipient, m.country, m.sender, m.status, m.reason, m.code, m.happened_at, m.segments, m.segments_reported,
       m.context::text AS context, m.first_received_at, m.last_received_at, m.submitted_at, m.delivery_s, m.final,
       kept.awaited_since, coalesce(cardinality(kept.seen), 1) AS seen, kept.parts::text AS parts, kept.part,
       kept.sequence
FROM sms.message AS m JOIN sms_data.message AS kept USING (message_id)
WHERE message_id = $1
"""
KEPT = """
SELECT report_id FROM sms.delivery_report WHERE message_id = $1
UNION ALL
SELECT submission_id FROM sms.submission WHERE message_id = $1
"""

_numbers = count()


@pytest.fixture(scope="module")
async def shared(shared_database: str) -> str:
    """URL of a database for all stories here that only add to it."""
    async with connected(shared_database) as connection:
        for days in range(3):
            await connection.execute(sql.CREATE_PARTITIONS, (NOON + timedelta(days=days)).date())
    return shared_database


@pytest.fixture(scope="module")
def locales(open_folder: Path) -> Path:
    """A folder with the locale en_US.UTF-8, made for the purpose: few containers have one that sorts."""
    if shutil.which("localedef") is None:
        pytest.skip("no localedef to make a locale with")
    folder = open_folder / "locales"
    folder.mkdir()
    command = ["localedef", "-i", "en_US", "-f", "UTF-8", folder / "en_US.UTF-8"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("the sources of the locale en_US are not installed")
    return folder


@pytest.fixture(scope="module")
async def linguistic(open_folder: Path, locales: Path) -> AsyncIterator[str]:
    """URL of a migrated database that sorts as a dictionary does, a B c, and not by bytes, B a c."""
    environment = {**account._environment(), "LOCPATH": str(locales)}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(account, "_environment", lambda: environment)
        async with embedded.running(open_folder / "linguistic") as server:
            await administrate(
                server.url, "CREATE DATABASE dictionary TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'en_US.UTF-8'"
            )
            url = with_database(server.url, "dictionary")
            await migrate.upgrade(url)
            yield url


def as_json(parts: Parts) -> str:
    return json.dumps({str(segment): [*part] for segment, part in parts.items()})


async def check(connection: asyncpg.Connection, cases: list[tuple[Parts, Parts, int | None]]) -> None:
    """Ask the database for all of them at once, and compare."""
    given_a, given_b, said = zip(*cases, strict=True)
    rows = await connection.fetch(MERGED, [*map(as_json, given_a)], [*map(as_json, given_b)], said)
    for (merged, *state), (a, b, segments) in zip(rows, cases, strict=True):
        expected = merge_parts(a, b)
        assert json.loads(merged) == json.loads(as_json(expected))
        assert MessageState(*state) == message_state(expected, segments)


@settings(max_examples=15)
@given(cases=some_cases)
async def test_the_functions_in_sql_agree_with_python(shared, cases):
    async with connected(shared) as connection:
        await check(connection, [(parts_of(a), parts_of(b), said) for a, b, said in cases])


@settings(max_examples=5)
@given(cases=some_cases)
async def test_they_agree_where_the_database_sorts_like_a_dictionary(linguistic, cases):
    async with connected(linguistic) as connection:
        assert await connection.fetchval("SELECT 'a' < 'B' AND 'B' < 'c'"), "the case under test"
        await check(connection, [(parts_of(a), parts_of(b), said) for a, b, said in cases])


async def test_of_codes_that_a_dictionary_sorts_otherwise_the_same_one_wins(linguistic):
    pairs = [(one, other) for one in TRICKY_CODES for other in TRICKY_CODES]
    async with connected(linguistic) as connection:
        await check(connection, [(parts_of([report(a)]), parts_of([report(b)]), 1) for a, b in pairs])


async def test_no_comparison_of_text_depends_on_the_databases_collation(shared):
    """For machines without a locale to try it with: every text that is sorted by or kept has the collation C."""
    async with connected(shared) as connection:
        sources = await connection.fetch(
            "SELECT proname, prosrc FROM pg_proc WHERE proname IN ('merge_parts', 'message_state')"
        )
        loose = await connection.fetch("""
            SELECT attrelid::regclass::text, attname FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
            WHERE c.relnamespace = 'sms_data'::regnamespace AND c.relname IN ('message', 'report', 'code')
              AND attcollation <> 0 AND attcollation <> '"C"'::regcollation
              AND attname NOT IN ('detail', 'meaning', 'advice')""")
    assert len(sources) == 2
    sorted_by = [term for source in sources for term in re.findall(r"(\S+) DESC", source["prosrc"])]
    assert {'"C"', "rank"} <= set(sorted_by) <= {'"C"', "rank", "counted.rank", "0)::int"}
    assert loose == []


def _said(one: Row) -> dict[str, object]:
    names = ("status", "reason", "segments", "recipient", "country", "sender", "context")
    own = ("segment", "happened_at", "sequence") if isinstance(one, DeliveryReport) else ("submitted_at",)
    return {name: getattr(one, name) for name in names + own}


def _of_message(message_id: str, one: Row) -> Row:
    make = report if isinstance(one, DeliveryReport) else submission
    return make(one.code, message_id=message_id, **_said(one))


@st.composite
def some_jobs(draw: st.DrawFn) -> list[tuple[Row, timedelta]]:
    """Different reports and submissions of one message, and when each arrived. Some tell more than others."""
    rows = distinct(draw(st.lists(some_report() | some_submission(), min_size=1, max_size=8)))
    told = st.fixed_dictionaries(
        {
            "recipient": st.sampled_from([None, "+8615512345678", "+8615512345679"]),
            "country": st.sampled_from([None, "CN", "HK"]),
            "sender": st.sampled_from([None, "b", "B", "_"]),
            "context": st.sampled_from([None, '{"ext": "a"}', '{"extend": "B"}']),
        }
    )
    full = [
        row._replace(**draw(told)) if isinstance(row, DeliveryReport) else replace(row, **draw(told)) for row in rows
    ]
    # An answer that names no time: the message counts as submitted when its answer was handed over.
    timed = [
        row if isinstance(row, DeliveryReport) or draw(st.booleans()) else replace(row, submitted_at=None)
        for row in full
    ]
    return [(row, timedelta(minutes=draw(st.integers(0, 3_000)))) for row in timed]


def expected_row(jobs: list[tuple[Row, timedelta]]) -> dict[str, object]:
    """The row of the message, from the set of what was told of it and from nothing else."""
    rows = [
        row if isinstance(row, DeliveryReport) or row.submitted_at else replace(row, submitted_at=NOON + after)
        for row, after in jobs
    ]
    state = state_of(rows)
    submitted_at = min((row.submitted_at for row in rows if not isinstance(row, DeliveryReport)), default=None)
    delivered_at = state.happened_at if state.status is Status.DELIVERED else None
    greatest = {
        name: max((value for row in rows if (value := getattr(row, name))), default=None)
        for name in ("recipient", "country", "sender")
    }
    return (
        greatest
        | state._asdict()
        | {
            "first_received_at": NOON + min(after for _, after in jobs),
            "last_received_at": NOON + max(after for _, after in jobs),
            "submitted_at": submitted_at,
            "awaited_since": None if state.status in FINAL else submitted_at,
            "delivery_s": (delivered_at - submitted_at).total_seconds() if delivered_at and submitted_at else None,
            "final": state.status in FINAL,
            "seen": len(rows),
        }
    )


@settings(max_examples=40)
@given(data=st.data(), jobs=some_jobs())
async def test_submissions_among_reports_in_any_order_and_grouping_end_in_the_same_row(shared, data, jobs):
    """Every column of it. What comes twice, from the spool or handed over again, is known."""
    found = []
    for _ in range(2):
        message_id = f"m-{next(_numbers)}"
        mine = [job(_of_message(message_id, row), received_at=NOON + after) for row, after in jobs]
        arriving = data.draw(st.permutations(mine + data.draw(st.lists(st.sampled_from(mine), max_size=4))))
        groups = _groups(arriving, data.draw(st.lists(st.integers(0, len(arriving)), max_size=5)))
        turn = data.draw(st.integers(0, len(groups)))
        told = await asyncio.gather(store(shared, groups[:turn]), store(shared, groups[turn:]))
        async with connected(shared) as connection:
            (row,) = await connection.fetch(WHOLE, message_id)
            kept = await connection.fetch(KEPT, message_id)
        identities = sorted(row_id(_of_message(message_id, one)) for one, _ in jobs)
        assert sorted(one["report_id"].hex for one in kept) == identities
        assert sorted(chain(*told)) == identities, "each row is new once"
        found.append(dict(row))
    assert found[0] == found[1]
    expected = expected_row(jobs)
    assert {name: found[0][name] for name in expected} == expected


async def store(url: str, groups: list[list[Job]]) -> list[RowId]:
    """Write the groups on one connection, each in a transaction of its own. Returns what is new."""
    new: list[RowId] = []
    async with connected(url) as connection:
        for group in groups:
            new += (await postgres.write(postgres.Session(connection), group, 10.0)).stored
    return new


def _groups(arriving: list, cuts: list[int]) -> list[list]:
    """The list cut at these places, none of the pieces empty."""
    ends = sorted({0, len(arriving), *cuts})
    return [arriving[start:end] for start, end in pairwise(ends)]
