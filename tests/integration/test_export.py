"""Lists as files: by the command and for the pages, whole, of one moment, and with bounded memory."""

import csv
import io
import json
import os
import signal
import tracemalloc
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from support.command import ended as how_it_ended
from support.command import started
from support.databases import emptied
from support.preloaded import Commands
from support.reports import callback, job, report, submission
from support.waiting import eventually

from receiver.reading.export import KINDS, exporting
from receiver.reading.filters import FilterError, Filters
from receiver.reading.reader import Reader
from receiver.report import ProviderName, Reply, content_id
from receiver.store import postgres
from receiver.store.job import job_of

NUMBER = "+8615512345678"
NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)
OTHER = ProviderName("cloudsms")


@pytest.fixture
async def sql(shared_database: str) -> AsyncIterator[asyncpg.Connection]:
    async with emptied(shared_database) as connection:
        yield connection


@pytest.fixture
async def stored(sql: asyncpg.Connection) -> None:
    at = NOW - timedelta(hours=1)
    jobs = [
        job(
            report(
                "UNDELIV",
                message_id="a",
                recipient=NUMBER,
                detail="=cmd|' /C calc'!A0",
                context='{"ext": "8615512345678"}',
            ),
            received_at=at,
        ),
        job(report("-3", message_id="b", recipient=NUMBER + "1"), received_at=at + MINUTE),
        job_of(
            callback(at + 2 * MINUTE),
            OTHER,
            replies=[Reply(provider=OTHER, reply_id=content_id("1"), body="@STOP\n", raw="{}", sender=NUMBER)],
        ),
        job(submission(message_id="c", recipient=NUMBER), received_at=at + 3 * MINUTE),
        job(received_at=at, body=b"\xff", error="not JSON"),
    ]
    await postgres.create_partitions(postgres.Session(sql), jobs)
    await postgres.write(postgres.Session(sql), jobs, 20.0)


def rows(out: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(out, newline="")))


def names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


async def test_every_list_can_be_written_as_both_formats(
    stored: None,
    shared_database: str,
    commands: Commands,
) -> None:
    numbers = {"reports": 2, "messages": 3, "replies": 1, "rejected": 1, "overdue": 0}
    assert set(numbers) == set(KINDS)
    for kind, number in numbers.items():
        table = await commands.run("export", kind, database_url=shared_database)
        lines = await commands.run("export", kind, "--format", "jsonl", database_url=shared_database)
        assert (table.code, lines.code) == (0, 0), table.err
        written = [json.loads(line) for line in lines.out.splitlines()]
        assert (len(rows(table.out)), len(written)) == (number, number)
        assert [list(row) for row in rows(table.out)] == [list(row) for row in written]


async def test_what_strangers_wrote_runs_nowhere_and_numbers_stay_usable(
    stored: None,
    shared_database: str,
    commands: Commands,
) -> None:
    ended = await commands.run("export", "reports", database_url=shared_database)
    first, second = rows(ended.out)
    assert first["detail"] == "'=cmd|' /C calc'!A0"
    assert (first["recipient"], second["code"]) == (NUMBER, "-3")
    ended = await commands.run("export", "replies", database_url=shared_database)
    assert rows(ended.out)[0]["body"] == "'@STOP\n"


async def test_a_file_without_numbers_has_none(stored: None, shared_database: str, commands: Commands) -> None:
    for kind in KINDS:
        for wanted in ("csv", "jsonl"):
            ended = await commands.run("export", kind, "--masked", "--format", wanted, database_url=shared_database)
            assert ended.code == 0
            assert NUMBER[1:] not in ended.out


async def test_a_file_has_what_is_asked_for(
    stored: None,
    shared_database: str,
    commands: Commands,
    tmp_path: Path,
) -> None:
    out = tmp_path / "failed.jsonl"
    numbers = ("--to", "0086 155-1234-5678", "--to", NUMBER + "1")
    ended = await commands.run(
        "export", "messages", *numbers, "--status", "failed", "--out", str(out), database_url=shared_database
    )
    assert (ended.code, ended.out, ended.err) == (0, "", "1 messages\n")
    assert [json.loads(line)["message_id"] for line in out.read_text().splitlines()] == ["a"]
    assert out.stat().st_mode & 0o777 == 0o600, "there are phone numbers in it"
    assert names(tmp_path) == ["failed.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["replies", "--status", "failed"], 2, "--status: replies cannot be chosen by this"),
        (["reports", "--correlation", "order-17"], 2, "--correlation: reports cannot be chosen by this"),
        (["reports", "--to", "nobody"], 2, "--to: is no phone number"),
        (["reports", "--since", "yesterday"], 2, "--since: is no time"),
        (["reports", "--out", "missing/file.csv"], 1, "there is no folder missing"),
        (["reports", "--out", "/dev/full"], 1, "--out: /dev/full cannot be written: No space left on device"),
        (["sms"], 2, "'sms' is not one of"),
    ],
)
async def test_what_cannot_be_written_is_said(
    shared_database: str, commands: Commands, arguments: list[str], code: int, says: str
) -> None:
    ended = await commands.run("export", *arguments, database_url=shared_database)
    assert ended.code == code
    assert says in ended.err


async def test_a_platform_that_nobody_knows_is_noted(shared_database: str, commands: Commands) -> None:
    """A mistyped name made an empty file, and nobody saw why."""
    ended = await commands.run("export", "reports", "--provider", "huwei", database_url=shared_database)
    assert (ended.code, ended.err) == (
        0,
        "Note: huwei is no platform that this version knows: cloudsms, huawei, tencent.\n0 reports\n",
    )


async def test_a_file_is_whole_or_not_there(commands: Commands, tmp_path: Path) -> None:
    out = tmp_path / "reports.csv"
    out.write_text("of yesterday")
    ended = await commands.run("export", "reports", "--out", str(out), database_url="postgresql://sms@127.0.0.1:1/sms")
    assert (ended.code, ended.complaint != "") == (1, True)
    assert out.read_text() == "of yesterday"
    assert names(tmp_path) == ["reports.csv"]


async def test_a_link_stays_one(shared_database: str, commands: Commands, tmp_path: Path) -> None:
    """/dev/stdout is a link: in its place there was a file, where root had called."""
    (tmp_path / "link.csv").symlink_to("reports.csv")
    (tmp_path / "reports.csv").write_text("of yesterday")
    ended = await commands.run("export", "reports", "--out", str(tmp_path / "link.csv"), database_url=shared_database)
    assert ended.code == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "reports.csv").read_text().startswith("report_id,")


async def test_ctrl_c_ends_the_wait_for_the_reader_of_a_pipe(shared_database: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    running = await started("export", "reports", "--out", "pipe", folder=tmp_path, database_url=shared_database)
    await eventually(lambda: Path(f"/proc/{running.pid}/wchan").read_text() == "wait_for_partner")
    running.send_signal(signal.SIGINT)
    assert (await how_it_ended(running)).code == -signal.SIGINT


async def test_the_memory_that_a_file_takes_does_not_grow_with_it(sql: asyncpg.Connection, reader: Reader) -> None:
    day = NOW - timedelta(hours=2)
    await postgres.create_partitions(postgres.Session(sql), [job(received_at=day)])
    insert = """INSERT INTO sms_data.report (received_at, report_id, message_id, provider, status, code, raw, detail)
        SELECT $1::timestamptz + n * interval '1 ms', gen_random_uuid(), n::text, 'huawei', 'delivered', 'DELIVRD',
               '{}', repeat('x', 500) FROM generate_series(1, $2::int) AS n"""
    peaks = []
    for number in (1_000, 9_000):
        await sql.execute(insert, day, number)
        tracemalloc.start()
        written = 0
        async with exporting(reader, "reports", Filters.parse({}), "csv", now=NOW, masked=True) as chunks:
            async for chunk in chunks:
                written += chunk.rows
        peaks.append((written, tracemalloc.get_traced_memory()[1]))
        tracemalloc.stop()
    assert [written for written, _ in peaks] == [1_000, 10_000]
    assert peaks[1][1] < 1.5 * peaks[0][1], peaks


async def test_a_filter_that_a_list_does_not_know_is_refused(reader: Reader) -> None:
    with pytest.raises(FilterError, match="cannot be chosen by this"):
        await exporting(reader, "overdue", Filters.parse({"code": "1"}), "csv", now=NOW, masked=True).__aenter__()
