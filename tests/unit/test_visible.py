"""What a terminal or the viewer of a log would obey never gets there as it came, and nothing else is touched."""

import json
import logging
from datetime import UTC, datetime
from unicodedata import category

import click
import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from support.capture import captured_log

from receiver.cli import main
from receiver.cli.error_group import ErrorGroup
from receiver.inbound import Inbound
from receiver.store.spool_file import as_line
from receiver.telemetry import logs, redaction
from receiver.telemetry.visible import visible, visible_json, visible_json_line

OBEYED = ("Cc", "Cf", "Zl", "Zp", "Cs")
any_text = st.lists(st.characters(categories=OBEYED) | st.characters() | st.text()).map("".join)
sane = st.lists(st.characters(categories=OBEYED[:-1]) | st.text()).map("".join)
"""Without lone surrogates."""

values = st.recursive(
    sane | st.none() | st.integers(),
    lambda inner: st.dictionaries(sane, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=8,
)


def of_obeyed(text: str, keep: str = "") -> list[str]:
    return [one for one in text if category(one) in OBEYED and one not in keep]


@given(any_text)
def test_nothing_comes_out_that_is_obeyed_and_a_second_time_changes_nothing_more(text):
    assert of_obeyed(visible(text)) == []
    assert of_obeyed(visible(text, keep="\n\t"), keep="\n\t") == []
    assert visible(visible(text).encode().decode()) == visible(text)


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S", "Zs"])))
def test_letters_and_blanks_of_any_language_stay(text):
    assert visible(text) == text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[2J\x9b31m\x7f", r"\x1b[2J\x9b31m\x7f"),
        ("a\r\nb", r"a\r\nb"),
        ("\u202eDELIVRD\u2066", r"\u202eDELIVRD\u2066"),
        ("\u2028\u2029\x85", r"\u2028\u2029\x85"),
        ("\U000e0041\ud800", r"\U000e0041\ud800"),
        ("退订\u3000é\xa0😀", "退订\u3000é\xa0😀"),
    ],
)
def test_it_is_shown_as_python_writes_it(raw, shown):
    assert visible(raw) == shown


@given(value=values, indent=st.sampled_from([None, 2]), ensure_ascii=st.booleans())
def test_json_says_the_same_without_what_is_obeyed(value, indent, ensure_ascii):
    document = json.dumps(value, indent=indent, ensure_ascii=ensure_ascii)
    assert of_obeyed(visible_json(document), keep="\n") == []
    assert json.loads(visible_json(document)) == value


@given(st.dictionaries(st.text(), st.text()))
def test_a_line_of_a_fast_serialiser_too(value):
    line = visible_json_line(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))
    assert of_obeyed(line.decode(), keep="\n") == []
    assert (line[-1:], orjson.loads(line)) == (b"\n", value)


def test_in_json_it_is_shown_as_json_has_it():
    document = json.dumps({"a": "\x7f\x9b\u202e\u2028\U000e0041"}, ensure_ascii=False)
    assert visible_json(document) == '{"a": "\\u007f\\u009b\\u202e\\u2028\\udb40\\udc41"}'


def say_everywhere(text: str) -> None:
    """Every way from a text to a line: our own calls, a library's, values within values, tracebacks."""
    log = logs.get_logger()
    log.info(text, detail=text, error=text, message_id=text, code=text, items=[text, {text: text}], odd=2**80)
    logging.getLogger("asyncpg").warning("lost %s", text)
    try:
        raise ValueError(text)  # noqa: TRY301 - a traceback with the text in it
    except ValueError as error:
        log.exception("failed", error=error)
        logging.getLogger("asyncpg").exception(text)


@pytest.mark.parametrize("style", ["json", "console", "terminal"])
@given(text=any_text)
def test_nothing_that_is_obeyed_gets_into_a_line_of_the_log(style, text):
    with captured_log(style) as log:
        say_everywhere(text)
    assert of_obeyed(log.text, keep="\n" if style == "json" else "\n\t") == []


@given(text=any_text)
def test_a_line_of_json_is_json_and_says_what_was_said(text):
    text = text.encode(errors="ignore").decode()
    with captured_log("json") as log:
        logs.get_logger().info("said", message_id=text)
    assert [line["message_id"] for line in log.lines] == [text[: redaction.MAX_PLAIN]]


@pytest.mark.parametrize(
    ("style", "begins"), [("console", "2026-11-20T00:00:00.000Z [info     ]"), ("terminal", "00:00:00 ")]
)
def test_no_line_of_a_traceback_can_pass_for_an_event(style, begins):
    with captured_log(style) as log:
        say_everywhere(f"forged\n{begins} report.stored")
    lines = log.text.splitlines()
    assert [line for line in lines if "report.stored" in line and line.startswith(begins)] == []
    assert len([line for line in lines if not line.startswith("  ")]) == 4


@given(text=sane)
def test_an_error_of_a_command_is_one_line_whatever_it_quotes(text):
    @click.group(cls=ErrorGroup)
    def program() -> None: ...

    @program.command()
    def fail() -> None:
        raise click.ClickException(f"the platform says {text}")

    ended = CliRunner().invoke(program, ["fail"])
    assert (ended.exit_code, of_obeyed(ended.stderr, keep="\n"), ended.stderr.count("\n")) == (1, [], 1)


@pytest.mark.parametrize(
    "arguments",
    [("explain", "\x1b[2J\u202eDELIVRD"), ("rejected", "\x9b31m"), ("\x1b[2J",), ("simulate", "\u2028")],
)
def test_what_was_pasted_is_repeated_with_escapes(arguments):
    ended = CliRunner().invoke(main, arguments)
    assert ended.exit_code
    assert of_obeyed(ended.output, keep="\n") == []
    assert "\\" in ended.output


@given(content_type=sane, refusal=sane)
def test_a_line_of_the_spool_is_json_and_shows_itself_on_a_terminal(content_type, refusal):
    one = Inbound(
        path="huawei/report",
        body=b"\x1b",
        content_type=content_type,
        received_at=datetime(2026, 11, 20, tzinfo=UTC),
        remote_addr=None,
        request_id="r",
        skip_parsing_reason=refusal,
    )
    line = as_line(1, one).decode()
    assert (of_obeyed(line, keep="\n"), line.count("\n")) == ([], 1)
    assert (json.loads(line)["content_type"], json.loads(line)["refusal"]) == (content_type, refusal)
