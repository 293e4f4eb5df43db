"""`receiver simulate`: what it makes up, and what it says about the answers."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import phonenumbers
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from support.command import receiver
from support.parsing import parse, parsed, understood

from receiver.simulate.dialects import DIALECTS
from receiver.simulate.lifecycles import Plan, emissions
from receiver.simulate.send import GaveUp, Target, send
from receiver.simulate.tally import Tally, as_text, ledger_line
from receiver.simulate.traffic import requests

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
PLAN = Plan(seed=7, count=1500, ends_at=NOW)
PROVIDERS = sorted(DIALECTS)


def made(provider, plan=PLAN, kind=None):
    return [request for request in requests(DIALECTS[provider], plan) if kind in {None, request.kind}]


every_provider = pytest.mark.parametrize("provider", PROVIDERS)


@every_provider
def test_one_seed_makes_the_same_bytes_and_another_clock_changes_the_times_alone(provider):
    first, later = made(provider), made(provider, replace(PLAN, ends_at=NOW + timedelta(days=1)))
    assert first == made(provider)
    assert first != made(provider, replace(PLAN, seed=8))
    assert first != later
    assert [r.push.message_ids for r in first] == [r.push.message_ids for r in later]


@every_provider
def test_a_repeated_report_is_the_same_to_the_byte(provider):
    single = replace(PLAN, batches=0, duplicates=0.1)
    bodies = Counter(r.push.body for r in made(provider, single, "reports"))
    repeats = sum(r.repeats for r in made(provider, single))
    assert 0.05 < repeats / PLAN.count < 0.15
    assert sum(times - 1 for times in bodies.values()) == repeats
    assert max(Counter(r.push.body for r in made(provider, replace(single, duplicates=0), "reports")).values()) == 1


@every_provider
def test_counts_and_batches_keep_to_the_options_and_to_the_provider(provider):
    for count in (1, 2, 99):
        assert sum(r.reports for r in made(provider, replace(PLAN, count=count))) == count
    sizes = {r.reports for r in made(provider, replace(PLAN, batch_size=500), "reports")}
    assert max(sizes) <= DIALECTS[provider].max_batch
    assert {r.reports for r in made(provider, replace(PLAN, batch_size=1), "reports")} == {1}


@every_provider
def test_the_receiver_understands_all_reports_and_finds_as_many_distinct_ones_as_are_told(provider):
    """The adapter's own parser is the judge of what is believable."""
    seen, repeats = set(), 0
    for request in made(provider, replace(PLAN, duplicates=0.1), "reports"):
        got = parse(request.push.path, request.push.body)
        assert (got.faults, got.expected_path) == ([], None)
        assert tuple(report.message_id for report in got.reports) == request.push.message_ids
        assert len(got.reports) == request.reports
        assert "unknown" not in {report.status for report in got.reports}
        seen.update(report.report_id for report in got.reports)
        repeats += request.repeats
    assert len(seen) == PLAN.count - repeats


@every_provider
def test_the_receiver_understands_replies(provider):
    replies = made(provider, replace(PLAN, replies=0.3), "reply")
    assert bool(replies) == (DIALECTS[provider].reply is not None)
    for request in replies:
        (reply,) = parse(request.push.path, request.push.body).replies
        assert reply.sender is not None


@every_provider
def test_the_receiver_understands_no_malformed_body_and_those_are_few_and_marked(provider):
    everything = made(provider, replace(PLAN, malformed=0.2, batches=0))
    broken = [r for r in everything if r.kind == "malformed"]
    assert 0.1 < len(broken) / len(everything) < 0.25
    for request in broken:
        assert request.expected_status == 400
        assert not request.reports
        assert not request.push.message_ids
        assert not understood(parsed(request.push.path, request.push.body))


def events(provider="huawei", **changes):
    return [emission.event for emission in emissions(DIALECTS[provider], replace(PLAN, **changes))]


def test_shares_are_about_what_was_asked_for():
    finals = [e for e in events(long=0, failures=0.3, duplicates=0) if e.stage != "interim"]
    assert 0.25 < sum(e.stage == "failed" for e in finals) / len(finals) < 0.35
    messages = {e.message: e.segments for e in events(long=0.2, duplicates=0)}
    assert 0.15 < sum(segments > 1 for segments in messages.values()) / len(messages) < 0.25
    assert {e.stage for e in events(failures=0)} == {"delivered", "interim"}
    assert {e.stage for e in events("tencent", failures=1)} == {"failed"}


def test_a_long_message_has_each_of_its_segments():
    whole = events(long=1, duplicates=0)
    segments = {(e.message, e.segment) for e in whole}
    complete = [
        m for m, n in {e.message: e.segments for e in whole}.items() if {(m, s) for s in range(1, n + 1)} <= segments
    ]
    assert len(complete) >= len({e.message for e in whole}) - 1  # the count may cut the last one short


@pytest.mark.parametrize(("shuffle", "in_order"), [(False, True), (True, False)])
def test_reports_come_in_the_order_of_their_times_unless_shuffled(shuffle, in_order):
    times = [e.happened_at for e in events("cloudsms", duplicates=0, shuffle=shuffle)]
    assert (times == sorted(times)) is in_order
    assert max(times) <= NOW


def test_all_numbers_are_valid():
    for number in {e.msisdn for e in events()}:
        assert phonenumbers.is_valid_number(phonenumbers.parse(number))


@pytest.fixture
async def server():
    """Answers like a receiver with the token `secret`; `answer` says what to answer a good request with."""
    state = {"answer": 200, "bodies": [], "three": asyncio.Event(), "end": asyncio.Event()}

    async def handle(request):
        body = await request.read()
        state["bodies"].append(body)
        if len(state["bodies"]) == 3:
            state["three"].set()
        if state["answer"] == "hang":
            await state["end"].wait()
        if state["answer"] == "close":
            request.transport.close()
        broken = b"&status=" not in body or not body.isascii()
        return web.Response(status=400 if broken else state["answer"])

    app = web.Application()
    app.router.add_post("/callback/huawei/report/secret", handle)
    async with TestServer(app) as running:
        yield str(running.make_url("/")), state
        state["end"].set()


async def sent(url, plan, **target):
    tally, lines = Tally(), []
    where = Target(url=url, **({"token": "secret", "concurrency": 8, "timeout_s": 5.0} | target))

    def note(*outcome):
        lines.append(json.loads(ledger_line(*outcome)))

    await send(requests(DIALECTS["huawei"], plan), where, tally, note)
    return tally, lines


FEW = replace(PLAN, count=40, batches=0, replies=0, malformed=0)


async def test_good_answers(server):
    url, state = server
    tally, lines = await sent(url, FEW, rate=2000)
    summary = tally.summary()
    assert tally.as_expected
    assert summary["answers"] == {"200": 40}
    assert summary["acknowledged_reports"] == summary["reports"] == len(state["bodies"]) == 40
    assert summary["distinct_reports"] == len(set(state["bodies"]))
    assert None not in summary["latency_ms"].values()
    assert {line["outcome"] for line in lines} == {"ok"}
    assert sum(len(line["message_ids"]) for line in lines) == 40
    assert "answers" in as_text(summary)


async def test_a_malformed_request_is_answered_well_with_400(server):
    tally, _ = await sent(server[0], replace(FEW, malformed=1))
    assert tally.as_expected
    assert tally.answers == {"200": 40, "400": 40}
    assert tally.summary()["malformed"] == 40


@pytest.mark.parametrize(
    ("answer", "options", "counted", "outcome"),
    [
        (503, {}, "503", "failed"),
        (200, {"token": None}, "404", "failed"),
        ("hang", {"timeout_s": 0.2, "concurrency": 40}, "timeout", "unknown"),
        ("close", {}, "connection lost", "unknown"),
        ("nobody listens", {}, "no connection", "failed"),
    ],
)
async def test_other_answers_are_told_apart(server, unused_tcp_port, answer, options, counted, outcome):
    url, state = server
    state["answer"] = answer
    url = f"http://127.0.0.1:{unused_tcp_port}" if answer == "nobody listens" else url
    tally, lines = await sent(url, FEW, **options)
    assert tally.answers == {counted: 40}
    assert not tally.as_expected
    assert tally.summary()["acknowledged_reports"] == 0
    assert {line["outcome"] for line in lines} == {outcome}


async def test_an_interruption_leaves_the_summary_so_far(server):
    url, state = server
    state["answer"] = "hang"
    tally = Tally()
    sending = asyncio.create_task(
        send(requests(DIALECTS["huawei"], FEW), Target(url=url, token="secret", concurrency=3), tally, lambda *_: None)
    )
    await asyncio.wait_for(state["three"].wait(), 10)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert tally.answers == {"interrupted": 3}
    assert tally.outcomes == {"unknown": 3}


async def test_it_gives_up_after_so_many_wrong_answers_in_a_row_and_not_before(server):
    url, state = server
    many = replace(FEW, count=400, malformed=0.5, batches=0)
    tally, _ = await sent(url, many, give_up=20)
    assert tally.answers["200"] == 400, "a 400 is the right answer to a broken request"
    state["answer"] = 503
    tally = Tally()
    broken = Target(url=url, token="secret", concurrency=8, give_up=20)
    with pytest.raises(GaveUp, match="503"):
        await send(requests(DIALECTS["huawei"], FEW), broken, tally, lambda *_: None)
    assert 20 <= tally.outcomes["failed"] < 40


async def test_the_command_says_what_happened_and_exits_with_1(server, tmp_path):
    url, state = server
    state["answer"] = 503
    ledger = tmp_path / "ledger.jsonl"
    options = ["huawei", "--url", url, "--token", "secret", "--count", "20", "--rate", "0"]
    options += [
        "--malformed",
        "0",
        "--batches",
        "0",
        "--now",
        "2026-11-20T09:30:00Z",
        "--json",
        "--record",
        str(ledger),
    ]
    run = await receiver("simulate", *options, folder=tmp_path)
    assert (run.code, run.err) == (1, "")
    assert (run.json["seed"], run.json["now"], run.json["reports"]) == (1, "2026-11-20T09:30:00Z", 20)
    assert len(ledger.read_text().splitlines()) == run.json["requests"]
    run = await receiver("simulate", *options, "--give-up", "5", folder=tmp_path)
    assert run.json["unexpected"] >= 5
    assert run.complaint == f"5 requests in a row went wrong: {url.rstrip('/')} answers 503: see its log"
