"""The log on a terminal: a line a report, one a second when it rains, and no report that is told by neither."""

import io
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.capture import captured_log
from support.reports import job, report
from support.waiting import eventually

from receiver.ingest.observe import observe
from receiver.ingest.recent import Recent
from receiver.report import Status
from receiver.store.job import Kept, KeptIn, Receipt
from receiver.telemetry import console, logs
from receiver.telemetry.metrics import Metrics
from receiver.telemetry.rain import Tally
from receiver.telemetry.short_line import MIN_WIDTH, columns

STAMP = "2026-11-22T12:00:01.250Z"
rows = st.tuples(
    st.sampled_from(["report", "reply", "submission"]),
    st.sampled_from(["stored", "duplicate", "spooled"]),
    st.sampled_from(sorted(Status)),
    st.sampled_from(["acme", "kestrel", "third", "fourth", "fifth"]),
)


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True

    @property
    def lines(self) -> list[str]:
        return self.getvalue().decode().splitlines()


@contextmanager
def on_a_terminal(monkeypatch: pytest.MonkeyPatch, second: float = 3_600.0, **options: Any) -> Iterator[Terminal]:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(console, "_SECOND", second)
    with captured_log():
        stream = Terminal()
        logs.configure(None, "INFO", stream=stream, **options)
        yield stream


def told(lines: list[str]) -> int:
    """Reports that are told of: by their own lines, and in summaries."""
    return sum(
        int(found[1]) if (found := re.search(r"^\S+ +(?:w\d +)?(\d+) (?:more )?reports?:", line)) else 1
        for line in lines
    )


def test_a_second_of_rain_is_one_line_with_every_number_in_it():
    tally = Tally()
    for status, platform, number in (
        ("delivered", "acme", 390),
        ("undeliverable", "kestrel", 15),
        ("unknown", "acme", 7),
    ):
        for _ in range(number):
            tally.add("report.stored", status, platform)
    tally.add("report.duplicate", "delivered", "acme")
    tally.add("report.spooled", "delivered", "acme")
    tally.add("reply.stored", "None", "acme")
    assert tally.line(STAMP, width=200, colours=False) == (
        "12:00:01  414 reports: 392 delivered, 15 undeliverable, 7 unknown · acme 399, kestrel 15 · 1 reply "
        "· 1 duplicate · 1 spooled"
    )
    assert tally.line(STAMP, width=90, colours=False, worker=2) == (
        "12:00:01  w2  414 reports: 392 delivered, 15 undeliverable, 7 unknown\n"
        "          1 reply · 1 duplicate · 1 spooled"
    )


@given(seen=st.lists(rows, min_size=1, max_size=200), width=st.sampled_from([80, 100, 120, 400]), more=st.booleans())
def test_the_numbers_of_a_summary_add_up(seen, width, more):
    tally = Tally()
    for kind, end, status, platform in seen:
        tally.add(f"{kind}.{end}", status, platform)
    line = tally.line(STAMP, width=width, colours=False, more=more)
    assert all(columns(one) <= width for one in line.split("\n"))
    line = line.replace("\n          ", " · ")
    kinds = Counter(kind for kind, *_ in seen)
    reports, _, rest = line[10:].partition(": ") if kinds["report"] else ("", "", line[10:])
    assert tally.total == len(seen)
    if kinds["report"]:
        assert int(reports.split()[0]) == kinds["report"]
        parts = rest.split(" · ")
        assert sum(int(part.split()[0]) for part in parts[0].split(", ")) == kinds["report"]
        if width == 400:
            assert sum(int(part.split()[1]) for part in parts[1].split(", ")) == kinds["report"]
    for kind, words in (("reply", r"(\d+) repl"), ("submission", r"(\d+) submission")):
        found = re.search(words, line)
        assert int(found[1] if found else 0) == kinds[kind]
    ends = Counter(end for _, end, *_ in seen)
    for end in ("duplicate", "spooled"):
        found = re.search(rf"(\d+) {end}", line)
        assert int(found[1] if found else 0) == ends[end]


async def rain(number: int, metrics: Metrics, begin: int = 0) -> None:
    one = job(
        *(report(message_id=f"m-{n}", recipient="+8615500005678", country="CN") for n in range(begin, begin + number))
    )
    await observe(one, Kept(KeptIn.DATABASE, Receipt(set(one.ids))), metrics, Recent())


async def test_a_few_reports_have_a_line_each(monkeypatch, metrics: Metrics):
    with on_a_terminal(monkeypatch) as terminal:
        await rain(console.LINES_PER_SECOND, metrics)
        assert len(terminal.lines) == console.LINES_PER_SECOND
    assert all("+86155****5678  CN DELIVRD" in line for line in terminal.lines)
    assert all(columns(line) <= MIN_WIDTH for line in terminal.lines)


async def test_when_it_rains_a_summary_stands_for_the_rest_and_warnings_are_shown(monkeypatch, metrics: Metrics):
    with on_a_terminal(monkeypatch) as terminal:
        for number in range(10):
            await rain(50, metrics, number * 50)
            logs.get_logger().warning("payload.rejected", error="no JSON", path="huawei/report")
        assert len(terminal.lines) == console.LINES_PER_SECOND + 10
        logs.get_logger().info("service.stopped")
    warnings = [line for line in terminal.lines if "warning" in line]
    assert len(warnings) == 10
    assert warnings[0].endswith('warning  payload.rejected  error="no JSON" path=huawei/report')
    assert terminal.lines[-1].endswith("  service.stopped")
    assert terminal.lines[-2].endswith("  490 more reports: 490 delivered · huawei 490")
    assert told([line for line in terminal.lines[:-1] if line not in warnings]) == 500


async def test_seconds_of_rain_are_a_line_each_and_what_comes_after_them_is_told(monkeypatch, metrics: Metrics):
    with on_a_terminal(monkeypatch, second=0.2) as terminal:
        for number in range(3):
            await rain(100, metrics, number * 100)
            await eventually(lambda wanted=(number + 1) * 100: told(terminal.lines) == wanted)
        await rain(3, metrics, 1_000)
        await eventually(lambda: told(terminal.lines) == 303)
        await eventually(lambda: not logs._watched.console._raining)
        before = len(terminal.lines)
        await rain(1, metrics, 2_000)
        assert len(terminal.lines) == before + 1, "dry again: a report is shown at once"
    own = [line for line in terminal.lines if "more report" not in line and " reports: " not in line]
    assert len(own) == console.LINES_PER_SECOND + 3 + 1
    assert told(terminal.lines) == 304


async def test_the_last_part_of_a_second_is_told_at_the_end(monkeypatch, metrics: Metrics):
    with on_a_terminal(monkeypatch) as terminal:
        await rain(73, metrics)
        assert told(terminal.lines) == console.LINES_PER_SECOND
        logs.finish()  # as the interpreter calls it when it exits
        assert told(terminal.lines) == 73
        await rain(73, metrics, 100)
    assert told(terminal.lines) == 146, "and another configuration of the log loses none"


def test_a_command_without_an_event_loop_shows_every_line(monkeypatch):
    with on_a_terminal(monkeypatch) as terminal:
        for number in range(50):
            logs.get_logger().info("report.stored", provider="acme", message_id=str(number), status="delivered")
    assert len(terminal.lines) == 50


async def test_a_worker_says_its_number(monkeypatch, metrics: Metrics, tmp_path):
    class File(io.FileIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("NO_COLOR", "1")
    with captured_log(), File(tmp_path / "log", "wb") as stream:
        logs.configure(None, "INFO", stream=stream, worker=3)
        await rain(200, metrics)
        logs.get_logger().warning("worker.tired", error="it rains")
        logs.finish()
        lines = (tmp_path / "log").read_text().splitlines()
    assert {line[8:14] for line in lines if "reports:" in line or "DELIVRD" in line} == {"  w3  "}
    assert told([line for line in lines if "warning" not in line]) == 200
    assert [line for line in lines if "worker=3" in line]
