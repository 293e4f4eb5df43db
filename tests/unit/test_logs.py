"""Real lines, through both renderers, from our own loggers and from the libraries'."""

import asyncio
import io
import json
import logging
import re
import sys
import warnings
from datetime import datetime

import phonenumbers
import pytest
import structlog
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat

from receiver.telemetry import logs
from receiver.telemetry.masking import mask_msisdn

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
both_formats = pytest.mark.parametrize("style", ["json", "console"])


@pytest.fixture(autouse=True)
def as_before():
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in logs.LIBRARY_LEVELS:
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def configured(style="json", level="INFO"):
    stream = io.BytesIO()
    logs.configure(style, level, tokens=(TOKEN,), stream=stream)
    return stream


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_report_is_one_line_of_json_with_its_keys_in_order():
    stream = configured()
    logs.get_logger().info("report.stored", **REPORT)
    (line,) = lines(stream)
    assert list(line) == ["timestamp", "level", "event", *REPORT]
    assert {key: line[key] for key in REPORT} == REPORT
    assert (line["level"], line["event"]) == ("info", "report.stored")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"])
    assert datetime.fromisoformat(line["timestamp"]).utcoffset().total_seconds() == 0


def test_on_a_terminal_the_line_is_readable_and_coloured(monkeypatch):
    class Terminal(io.BytesIO):
        def isatty(self):
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    logs.configure(None, "INFO", stream=stream)
    logs.get_logger().info("report.stored", **REPORT)
    assert b"\x1b[" in stream.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    plain = Terminal()
    logs.configure(None, "INFO", stream=plain)
    logs.get_logger().info("report.stored", **REPORT)
    assert b"\x1b" not in plain.getvalue()
    assert "recipient=+86155****5678" in plain.getvalue().decode()


def test_without_a_stream_lines_go_to_stdout_as_json(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), write_through=True))
    logs.configure(None, "INFO")
    logs.get_logger().info("hello")
    assert json.loads(sys.stdout.buffer.getvalue())["event"] == "hello"


def test_the_level_holds_for_events_and_libraries():
    stream = configured(level="WARNING")
    logs.get_logger().info("quiet")
    logging.getLogger("asyncpg").info("quiet")
    logs.get_logger().warning("loud")
    logging.getLogger("asyncpg").warning("loud")
    assert [line["event"] for line in lines(stream)] == ["loud", "loud"]


def example(draw):
    region = draw(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)))
    number = phonenumbers.example_number(region)
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


@both_formats
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(pair=st.composite(example)(), before=st.text(max_size=20), after=st.text(max_size=20))
def test_no_number_survives_in_a_line(style, pair, before, after):
    digits, written = pair
    stream = configured(style)
    say_everywhere(f"{before}{written}{after}")
    said = stream.getvalue().decode()
    assert said.count("store.failed") >= 1
    assert written not in said
    # Line by line: two numbers of one line must not meet once the blanks between them are gone.
    assert digits not in re.sub(r"(?<=\d)[ ()./-]{1,3}(?=\d)", "", said)


@both_formats
def test_no_token_survives_in_a_line(style):
    stream = configured(style)
    say_everywhere(f"POST /callback/acme/report/{TOKEN} {TOKEN}")
    logs.get_logger().info("request", path=f"/callback/acme/report/{TOKEN}x", token=TOKEN, Authorization="Access=abc")
    said = stream.getvalue().decode()
    assert not re.search(f"{re.escape(TOKEN)}|Access=abc", said)
    assert "/callback/acme/report/***" in said


@both_formats
def test_no_message_text_survives_in_a_line(style):
    stream = configured(style)
    log = logs.get_logger()
    log.info("reply.stored", body="see you at nine", text="see you at nine", raw=b"see you at nine")
    log.info("reply.stored", item={"Text": "see you at nine"}, bytes_in=b"see you at nine")
    quoting = "DETAIL:  Failing row contains (see you\nat nine)"
    log.warning("failed", error=ValueError(quoting), detail=quoting)
    logging.getLogger("asyncio").error(quoting)
    said = stream.getvalue().decode()
    assert "nine" not in said
    assert said.count("reply.stored") == 2


def test_large_counts_are_no_numbers_and_large_integers_may_be():
    stream = configured()
    logs.get_logger().info("spool", spool_bytes=10_737_418_240, mobile=8615512345678, ok=True, n=None)
    (line,) = lines(stream)
    assert [line[key] for key in ("spool_bytes", "mobile", "ok", "n")] == [10_737_418_240, "861****5678", True, None]


@both_formats
def test_nothing_that_is_logged_can_fail(style):
    stream = configured(style)
    logs.get_logger().info("odd", surrogate="\ud800", huge_bytes=2**80, none=None, thing=object, code=8, status=b"x")
    record = logging.LogRecord("asyncio", logging.WARNING, "", 1, "%d numbers", ("no",), None)
    next(handler for handler in logging.getLogger().handlers if isinstance(handler, logs._Handler)).handle(record)
    assert len(stream.getvalue().splitlines()) == 2


def test_a_full_disk_under_the_log_does_not_reach_the_caller():
    class Full(io.BytesIO):
        def write(self, _line):
            raise OSError(28, "No space left on device")

    logs.configure("json", "INFO", stream=Full())
    logs.get_logger().info("report.stored")


def test_a_line_cannot_be_forged_nor_a_terminal_moved():
    stream = configured("console")
    logs.get_logger().info("report.stored", message_id="a\n2026 [error] forged", code="\x1b[2J")
    said = stream.getvalue().decode()
    assert len(said.splitlines()) == 1
    assert "\x1b" not in said


def test_warnings_and_tracebacks_of_libraries_are_lines_too():
    stream = configured()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("call +8615512345678", stacklevel=1)
        logging.captureWarnings(capture=False)
    assert lines(stream)[0]["logger"] == "py.warnings"
    assert "+86155****5678" in lines(stream)[0]["event"]


def test_configuring_again_replaces_the_first_configuration():
    first, second = configured(), configured()
    logging.getLogger("asyncpg").warning("once")
    assert (first.getvalue(), len(lines(second))) == (b"", 1)


async def server(handler):
    runner = web.ServerRunner(web.Server(handler), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, runner.addresses[0][1]


async def send(port, request):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


BAD = b"POST /callback/acme/report/secret-of-ours HTTP/1.1\r\nHost: x\r\nContent-Length: 15512345678x\r\n\r\n"


async def test_malformed_requests_are_a_few_short_lines_without_their_bytes():
    stream = configured()
    runner, port = await server(lambda _request: web.Response())
    answers = [await send(port, BAD) for _ in range(20)]
    await runner.cleanup()
    assert all(answer.startswith(b"HTTP/1.0 400") for answer in answers)
    told = lines(stream)
    assert logs.CONNECTION_LINES_PER_SECOND <= len(told) <= 3 * logs.CONNECTION_LINES_PER_SECOND
    assert set(told[0]) == {"timestamp", "level", "event", "logger", "remote", "error"}
    assert (told[0]["event"], told[0]["level"], told[0]["remote"]) == ("http.malformed", "warning", "127.0.0.1")
    assert not re.search(rb"secret|Traceback", stream.getvalue())


async def test_a_client_that_hangs_up_is_a_short_line():
    async def handler(request):
        await request.read()
        return web.Response()

    stream = configured()
    runner, port = await server(handler)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nsecret")
    await asyncio.sleep(0.05)
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.05)
    await runner.cleanup()
    (line,) = lines(stream)
    assert (line["event"], line["error"]) == ("http.disconnected", "ConnectionResetError")
    assert "exception" not in line


async def test_a_fault_of_ours_keeps_its_traceback():
    async def handler(_request):
        raise LookupError("for +8615512345678")

    stream = configured()
    runner, port = await server(handler)
    await send(port, b"GET / HTTP/1.0\r\n\r\n")
    await runner.cleanup()
    (line,) = lines(stream)
    assert line["level"] == "error"
    assert "LookupError: for +86155****5678" in line["exception"]
