"""Real lines, through both renderers, from our own loggers and from the libraries'."""

import asyncio
import io
import json
import logging
import re
import sys
import warnings
from contextlib import asynccontextmanager
from datetime import datetime

import phonenumbers
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat
from support.capture import captured_log

from receiver.telemetry import logs
from receiver.telemetry.masking import mask_msisdn
from receiver.telemetry.rate_limit import LogRateLimiter

TOKEN = "Zq7-callback_token.0123456789"
REPORT = {
    "provider": "acme",
    "message_id": "5000:1045710669157053657849499619",
    "status": "undeliverable",
    "reason": "carrier_error",
    "code": "0000008",
    "recipient": mask_msisdn("+8615512345678"),
    "lag_s": 1.25,
    "request_id": "0123456789abcdef0123456789012345",
    "remote": "203.0.113.7",
}
every_format = pytest.mark.parametrize("style", ["json", "console", "terminal"])


def test_a_report_is_one_line_of_json_with_its_keys_in_order():
    with captured_log() as log:
        logs.get_logger().info("report.stored", **REPORT)
    (line,) = log.lines
    assert list(line) == ["timestamp", "level", "event", *REPORT]
    assert line == {"timestamp": line["timestamp"], "level": "info", "event": "report.stored"} | REPORT
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"])
    assert datetime.fromisoformat(line["timestamp"]).utcoffset().total_seconds() == 0


@pytest.mark.parametrize("coloured", [True, False])
def test_on_a_terminal_the_line_is_short_and_coloured(monkeypatch, coloured):
    class Terminal(io.BytesIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False) if coloured else monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    with captured_log():
        logs.configure(None, "INFO", stream=stream)
        logs.get_logger().info("report.stored", **REPORT)
    said = stream.getvalue().decode()
    assert ("\x1b[31m undeliverable" in said) is coloured
    (line,) = re.sub(r"\x1b\[\d*m", "", said).splitlines()
    assert line[10:].split() == ["acme", "undeliverable", "+86155****5678", "0000008", "1.2s", "carrier_error"]


def test_on_a_terminal_a_warning_keeps_its_keys_and_is_wrapped_beneath_its_event():
    with captured_log("terminal") as log:
        logs.get_logger().warning(
            "callback.unprotected", host="0.0.0.0", platforms="acme, kestrel", advice="set this; " * 12, at=None, n=[1]
        )
    first, *others = log.text.splitlines()
    assert re.fullmatch(
        r'\d\d:\d\d:\d\d  warning  callback\.unprotected  host=0\.0\.0\.0 platforms="acme, kestrel"', first
    )
    assert all(line.startswith(" " * 10) and len(line) <= 80 for line in others)
    assert " ".join(line.strip() for line in others) == f'advice="{"set this; " * 12}" at=None n=[1]'


def test_where_no_terminal_is_every_line_of_the_console_has_all_its_keys():
    with captured_log("console") as log:
        for _ in range(50):
            logs.get_logger().info("report.stored", **REPORT)
    assert len(log.text.splitlines()) == 50
    assert all(f"{key}=" in log.text.splitlines()[0] for key in REPORT)


def test_without_a_stream_lines_go_to_stdout_as_json(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), write_through=True))
    with captured_log():
        logs.configure(None, "INFO")
        logs.get_logger().info("hello")
    assert json.loads(sys.stdout.buffer.getvalue())["event"] == "hello"


def test_the_level_holds_for_events_and_libraries():
    with captured_log(level="WARNING") as log:
        for level in (logging.INFO, logging.WARNING):
            logs.get_logger().log(level, f"ours {level}")
            logging.getLogger("asyncpg").log(level, "theirs %s", level)
    assert [line["event"] for line in log.lines] == ["ours 30", "theirs 30"]


@st.composite
def some_number(draw):
    """Its digits, and as a person writes it."""
    number = phonenumbers.example_number(draw(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS))))
    style = draw(st.sampled_from([PhoneNumberFormat.E164, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.RFC3966]))
    return f"{number.country_code}{number.national_number}", phonenumbers.format_number(number, style)


def fail(text):
    try:
        int(f"x{text}")
    except ValueError as error:
        raise RuntimeError("outer") from error


def say_everywhere(text):
    """Everything that a careless call could do with a text."""
    log = logs.get_logger()
    log.info(text, detail=text, recipient=text, code=text, items=[text, {"to": text}], error=ValueError(text))
    log.bind(sender=text).warning("bound", count=3)
    library = logging.getLogger("asyncpg.pool")
    library.warning("lost %s", text)
    try:
        fail(text)
    except RuntimeError:
        log.exception("store.failed")
        library.exception("failed")


@every_format
@settings(max_examples=60)
@given(pair=some_number(), before=st.text(max_size=20), after=st.text(max_size=20))
def test_no_number_survives_in_a_line(style, pair, before, after):
    digits, written = pair
    with captured_log(style) as log:
        say_everywhere(f"{before}{written}{after}")
    assert "store.failed" in log.text
    assert written not in log.text
    # Line by line: two numbers of one line must not meet once the blanks between them are gone.
    assert digits not in re.sub(r"(?<=\d)[ ()./-]{1,3}(?=\d)", "", log.text)


@every_format
def test_no_token_survives_in_a_line(style):
    with captured_log(style, tokens=[TOKEN]) as log:
        say_everywhere(f"POST /callback/acme/report/{TOKEN} {TOKEN}")
        logs.get_logger().info("request", path=f"/callback/acme/report/{TOKEN}x", token=TOKEN, Authorization="A=abc")
    assert TOKEN not in log.text
    assert "A=abc" not in log.text
    assert "/callback/acme/report/***" in log.text


@every_format
def test_no_message_text_survives_in_a_line(style):
    quoting = "DETAIL:  Failing row contains (see you\nat nine)"
    with captured_log(style) as log:
        ours = logs.get_logger()
        ours.info("reply.stored", body="see you at nine", text="see you at nine", raw=b"see you at nine")
        ours.info("reply.stored", item={"Text": "see you at nine"}, bytes_in=b"see you at nine")
        ours.warning("failed", error=ValueError(quoting), detail=quoting)
        logging.getLogger("asyncio").error(quoting)
    assert "nine" not in log.text
    assert log.text.count(" reply " if style == "terminal" else "reply.stored") == 2


def test_large_counts_are_no_numbers_and_large_integers_may_be():
    with captured_log() as log:
        logs.get_logger().info("spool", spool_bytes=10_737_418_240, mobile=8615512345678, ok=True, n=None)
    (line,) = log.lines
    assert [line[key] for key in ("spool_bytes", "mobile", "ok", "n")] == [10_737_418_240, "861****5678", True, None]


@every_format
def test_nothing_that_is_logged_can_fail(style):
    record = logging.LogRecord("asyncio", logging.WARNING, "", 1, "%d numbers", ("no",), None)
    with captured_log(style) as log:
        logs.get_logger().info(
            "odd", surrogate="\ud800", huge_bytes=2**80, none=None, thing=object, code=8, status=b"x"
        )
        next(handler for handler in logging.getLogger().handlers if isinstance(handler, logs._Handler)).handle(record)
    assert len([line for line in log.text.splitlines() if not line.startswith("  ")]) == 2


def test_a_full_disk_under_the_log_does_not_reach_the_caller():
    class Full(io.BytesIO):
        def write(self, _line):
            raise OSError(28, "No space left on device")

    with captured_log():
        logs.configure("json", "INFO", stream=Full())
        logs.get_logger().info("report.stored")


def test_warnings_of_libraries_are_lines_too():
    with captured_log() as log, warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("call +8615512345678", stacklevel=1)
        logging.captureWarnings(capture=False)
    (line,) = log.lines
    assert line["logger"] == "py.warnings"
    assert "+86155****5678" in line["event"]


def test_configuring_again_replaces_the_first_configuration():
    with captured_log() as first, captured_log() as second:
        logging.getLogger("asyncpg").warning("once")
    assert (first.text, len(second.lines)) == ("", 1)


def test_what_was_left_out_is_counted_with_the_next_line():
    limit = LogRateLimiter(2)
    assert [limit.admit("x", 10.0 + number / 10) for number in range(5)] == [0, 0, None, None, None]
    assert [limit.admit(*asked) for asked in (("y", 10.5), ("x", 11.1), ("x", 12.5))] == [0, 3, 0]


@asynccontextmanager
async def serving(handler):
    """The port of a server with this handler."""
    runner = web.ServerRunner(web.Server(handler), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def read_and_answer(request):
    await request.read()
    return web.Response()


async def send(port, request, *, wait=True):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read() if wait else await asyncio.sleep(0.05)
    writer.close()
    await writer.wait_closed()
    return answer


BAD = b"POST /callback/acme/report/secret-of-ours HTTP/1.1\r\nHost: x\r\nContent-Length: 15512345678x\r\n\r\n"


async def test_malformed_requests_are_a_few_short_lines_without_their_bytes():
    with captured_log() as log:
        async with serving(read_and_answer) as port:
            answers = [await send(port, BAD) for _ in range(20)]
    assert all(answer.startswith(b"HTTP/1.0 400") for answer in answers)
    assert logs.CONNECTION_LINES_PER_SECOND <= len(log.lines) <= 3 * logs.CONNECTION_LINES_PER_SECOND
    line = log.lines[0]
    assert set(line) == {"timestamp", "level", "event", "logger", "remote", "error"}
    assert (line["event"], line["level"], line["remote"]) == ("http.malformed", "warning", "127.0.0.1")
    assert not re.search("secret|Traceback", log.text)


async def test_a_client_that_hangs_up_is_a_short_line():
    with captured_log() as log:
        async with serving(read_and_answer) as port:
            await send(port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nsecret", wait=False)
            await asyncio.sleep(0.05)
    (line,) = [line for line in log.lines if line["level"] != "debug"]
    assert (line["event"], line["error"]) == ("http.disconnected", "ConnectionResetError")
    assert "exception" not in line


async def test_a_fault_of_ours_keeps_its_traceback():
    async def handler(_request):
        raise LookupError("for +8615512345678")

    with captured_log() as log:
        async with serving(handler) as port:
            await send(port, b"GET / HTTP/1.0\r\n\r\n")
    (line,) = log.lines
    assert line["level"] == "error"
    assert "LookupError: for +86155****5678" in line["exception"]
