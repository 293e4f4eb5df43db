"""`receiver status` and `receiver message`: what somebody asks at a terminal, and scripts by the exit code."""

import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from support import service as services
from support.databases import connected
from support.preloaded import Commands
from support.reports import job, report, submission
from support.service import Service

from receiver.settings import Settings
from receiver.store import postgres
from receiver.store.job import Job
from receiver.store.maintenance import overdue

NUMBER = "+8615512345678"
AWAY = "postgresql://sms:hunter2-hunter2@127.0.0.1:1/sms"
EVIL = "\x1b[2J\u202e<b>"


@pytest.fixture
async def running(make_settings: Callable[..., Settings]) -> AsyncIterator[tuple[Service, dict[str, Any]]]:
    settings = make_settings(database_timeout_s=20.0, answer_deadline_s=30.0)
    async with services.running(settings) as service:
        ops = urlsplit(service.ops_url)
        url = settings.database_url
        assert url is not None
        given = {"database_url": url.get_secret_value(), "data_dir": settings.data_dir}
        yield service, given | {"ops_host": ops.hostname, "ops_port": ops.port}


async def store(url: str, *jobs: Job) -> None:
    async with connected(url) as sql:
        await postgres.create_partitions(postgres.Session(sql), jobs)
        await postgres.write(postgres.Session(sql), jobs, 20.0)


@pytest.fixture
async def stored(database: str) -> None:
    """A message that failed, one that is overdue, and one of yesterday."""
    now = datetime.now(UTC)
    sent = now - timedelta(days=4)
    failed = {"message_id": "failed-1", "recipient": NUMBER, "country": "CN", "sender": EVIL}
    await store(
        database,
        job(submission(message_id="failed-1", recipient=NUMBER, segments=2), received_at=now - timedelta(minutes=9)),
        job(
            report("MK:0001", segment=2, segments=2, detail=EVIL, happened_at=now - timedelta(minutes=8), **failed),
            received_at=now - timedelta(minutes=7),
        ),
        job(submission(message_id="silent-1", recipient=NUMBER, submitted_at=sent), received_at=sent),
        job(report("DELIVRD", message_id="before-1", country="CN"), received_at=now - timedelta(hours=30)),
    )
    async with connected(database) as sql:
        await overdue.refresh(sql, {"huawei": 72})


async def test_status_is_one_screen_about_a_service_that_is_well(
    stored: None,
    running: tuple[Service, dict[str, Any]],
    commands: Commands,
) -> None:
    ended = await commands.run("status", **running[1])
    assert (ended.code, ended.err) == (0, "")
    assert len(ended.out.splitlines()) <= 24
    assert max(map(len, ended.out.splitlines())) <= 120
    for said in (
        r"^well  receiver \S+ at http://127\.0\.0\.1:\d+$",
        r"database   takes reports",
        r"spool      0 callbacks",
        r"now +0\.0 % +1 +1 +0$",
        r"a day before +100\.0 % +1 +0 +0$",
        r"failures   number_unavailable 1$",
        r"overdue    huawei: 1 by window",
        r"huawei +[78]m ago +0\.0 %",
    ):
        assert re.search(said, ended.out, re.MULTILINE), said
    told = (await commands.run("status", "--json", **running[1])).json
    assert (told["status"], told["unwell"], told["unknown"]) == ("well", [], [])
    assert told["figures"]["now"]["failed"] == 1
    assert told["figures"]["since"].endswith(":00:00+00:00"), "as it is counted, by whole hours"
    assert told["last_reports"][0]["provider"] == "huawei"
    other = await commands.run("status", "--provider", "tencent", **running[1])
    assert "huawei" not in other.out, "of it there was 0 messages, and its overdue ones stood below another's figures"


async def test_status_tells_scripts_what_is_wrong(
    running: tuple[Service, dict[str, Any]], commands: Commands, tmp_path: Any
) -> None:
    given = running[1]
    no_service = await commands.run("status", **(given | {"ops_port": 1, "data_dir": tmp_path}))
    assert no_service.code == 1
    assert "not well" in no_service.out
    assert "answers at http://127.0.0.1:1: start `receiver serve`, or set RECEIVER_OPS_HOST" in no_service.out
    assert "a day before" in no_service.out, "what can be read is shown"
    no_figures = await commands.run("status", **(given | {"read_database_url": AWAY}))
    assert no_figures.code == 3
    assert "cannot tell" in no_figures.out
    assert "RECEIVER_READ_DATABASE_URL: 127.0.0.1:1 refused the connection" in no_figures.out
    assert "takes reports" in no_figures.out
    assert "hunter2" not in no_figures.out + no_figures.err
    alone = await commands.run("status", "--no-service", **(given | {"ops_port": 1}))
    assert alone.code == 0
    assert (await commands.run("status", "--since", "yesterday", **given)).code == 2


async def test_a_message_is_told_by_its_id_with_what_its_codes_mean(
    stored: None,
    database: str,
    commands: Commands,
) -> None:
    ended = await commands.run("message", "failed-1", database_url=database)
    assert ended.code == 0
    assert ended.out.isprintable() or all(one.isprintable() or one == "\n" for one in ended.out)
    places = [
        ended.out.index(said) for said in (NUMBER, "undeliverable, number_unavailable", "submitted", "report 2/2")
    ]
    assert places == sorted(places)
    assert "told 60s later" in ended.out
    assert ended.out.count("advice") == 2, "of both codes"
    told = (await commands.run("message", "failed-1", "--json", database_url=database)).json
    (message,) = told["messages"]
    assert (message["status"], len(message["reports"]), len(message["submissions"])) == ("undeliverable", 1, 1)
    assert message["advice"] == message["reports"][0]["advice"] != ""
    silent = await commands.run("message", "silent-1", database_url=database)
    assert "overdue   waits 4d" in silent.out


async def test_messages_to_a_number_have_a_line_each(
    stored: None,
    database: str,
    commands: Commands,
) -> None:
    ended = await commands.run("message", "0086 155-1234 5678", database_url=database)
    assert ended.code == 0
    assert [line.split()[-1] for line in ended.out.splitlines()] == ["failed-1", "silent-1"]
    assert NUMBER in ended.out
    one = await commands.run("message", NUMBER, "--since", "1h", database_url=database)
    assert "advice" in one.out, "one message is told in full"
    none = await commands.run("message", "no such\x1b[2J", database_url=database)
    assert (none.code, none.out) == (1, "")
    assert "nothing is known of no such\\x1b[2J: no message has this id, and since " in none.err
    other = await commands.run("message", "138 0013 8000", database_url=database)
    assert "with this correlation or to +13800138000, +8613800138000: try a longer --since" in other.err


async def test_no_message_is_asked_for_by_an_empty_text(
    stored: None,
    database: str,
    commands: Commands,
) -> None:
    """`receiver message "$ID"` without ID told of the latest messages of anybody, and exited with 0."""
    for text in ("", " "):
        ended = await commands.run("message", text, database_url=database)
        assert (ended.code, ended.out) == (2, "")
        assert "ID|NUMBER: it is empty" in ended.err


async def test_a_platform_whose_clock_is_ahead_has_told_nothing_before_it_happened(
    sql: asyncpg.Connection,
    database: str,
    commands: Commands,
) -> None:
    await store(database, job(report(happened_at=datetime.now(UTC) + timedelta(days=3)), received_at=datetime.now(UTC)))
    assert "dated 3d ahead" in (await commands.run("message", "m-1", database_url=database)).out


async def test_one_of_the_recipients_of_an_id_can_be_chosen(
    sql: asyncpg.Connection, database: str, commands: Commands
) -> None:
    numbers = [NUMBER, NUMBER[:-1] + "9"]
    await store(database, *(job(report("DELIVRD", message_id="many", recipient=n, recipient_key=n)) for n in numbers))
    assert await sql.fetchval("SELECT count(*) FROM sms.message") == 2
    both = await commands.run("message", "many", database_url=database)
    assert len(both.out.splitlines()) == 2
    one = await commands.run("message", "many", "--to", numbers[1], "--json", database_url=database)
    (message,) = one.json["messages"]
    assert (message["recipient"], [row["recipient"] for row in message["reports"]]) == (numbers[1], [numbers[1]])


async def test_of_a_large_batch_each_recipient_is_found(
    sql: asyncpg.Connection,
    database: str,
    commands: Commands,
) -> None:
    """The first hundred by number were looked through for the one that was asked for."""
    numbers = [f"+85261234{number:03}" for number in range(120)]
    await store(database, *(job(report(message_id="batch", recipient=n, recipient_key=n)) for n in numbers))
    one = await commands.run("message", "batch", "--to", numbers[-1], database_url=database)
    assert f"to        {numbers[-1]}" in one.out
    some = await commands.run("message", "batch", database_url=database)
    assert len(some.out.splitlines()) == 20
    assert "There are more than these 20: --limit shows up to 100, `receiver export messages`" in some.err
    most = await commands.run("message", "batch", "--limit", "100", database_url=database)
    assert "There are more than these 100: `receiver export messages` writes all" in most.err
    assert "`receiver message ID --to NUMBER` tells more" in some.err
