"""No log line, of either form, has what a terminal or a viewer would obey, whoever wrote it."""

import json
import logging
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.capture import captured_log

from receiver.telemetry import logs

OBEYED = ("Cc", "Cf", "Zl", "Zp", "Cs")
hostile = st.lists(st.one_of(st.characters(categories=OBEYED), st.text())).map("".join)
FORGED = "\n2026-11-20T00:00:00.000Z [info     ] report.stored"


def fail(text: str) -> None:
    raise ValueError(text)


def say_everywhere(text: str) -> None:
    """Every way from a text to a line: our own calls, a library's, values within values, tracebacks."""
    log = logs.get_logger()
    log.info(text, detail=text, error=text, message_id=text, code=text, items=[text, {text: text}], odd=2**80)
    logging.getLogger("asyncpg").warning("lost %s", text)
    try:
        fail(text)
    except ValueError as error:
        log.exception("failed", error=error)
        logging.getLogger("asyncpg").exception(text)


@pytest.mark.parametrize("style", ["json", "console"])
@given(text=hostile)
def test_nothing_that_is_obeyed_gets_into_a_line(style: logs.LogFormat, text: str) -> None:
    with captured_log(style) as log:
        say_everywhere(text)
    layout = "\n" if style == "json" else "\n\t"
    assert [one for one in log.text if category(one) in OBEYED and one not in layout] == []


@given(text=hostile)
def test_a_line_of_json_is_json_and_says_what_was_said(text: str) -> None:
    text = text.encode(errors="ignore").decode()
    with captured_log("json") as log:
        logs.get_logger().info("said", message_id=text)
    (line,) = log.text.splitlines()
    assert json.loads(line)["message_id"] == text[: logs.MAX_PLAIN]


def test_no_line_of_a_traceback_can_pass_for_an_event() -> None:
    with captured_log("console") as log:
        say_everywhere(f"forged{FORGED}")
    lines = log.text.splitlines()
    assert [line for line in lines if "report.stored" in line and line.startswith("2026-11-20T00:00:00")] == []
    assert len([line for line in lines if not line.startswith("  ")]) == 4
