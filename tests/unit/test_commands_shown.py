"""What the commands say to a terminal has nothing that it would obey, whoever's words they repeat."""

import json
from datetime import UTC, datetime
from unicodedata import category

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from receiver.cli import main
from receiver.cli.error_group import ErrorGroup
from receiver.inbound import Inbound
from receiver.store.spool_file import as_line

OBEYED = ("Cc", "Cf", "Zl", "Zp", "Cs")
hostile = st.lists(st.one_of(st.characters(categories=OBEYED[:-1]), st.text())).map("".join)


def of_obeyed(text: str) -> list[str]:
    return [one for one in text if category(one) in OBEYED and one != "\n"]


@given(text=hostile)
def test_an_error_is_one_line_whatever_it_quotes(text: str) -> None:
    @click.group(cls=ErrorGroup)
    def program() -> None: ...

    @program.command()
    def fail() -> None:
        raise click.ClickException(f"the platform says {text}")

    ended = CliRunner().invoke(program, ["fail"])
    assert (ended.exit_code, of_obeyed(ended.stderr)) == (1, [])
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [("explain", "\x1b[2J\u202eDELIVRD"), ("rejected", "\x9b31m"), ("\x1b[2J",), ("simulate", "\u2028")],
)
def test_what_was_pasted_is_repeated_with_escapes(arguments: tuple[str, ...]) -> None:
    ended = CliRunner().invoke(main, arguments)
    assert ended.exit_code
    assert of_obeyed(ended.output) == []
    assert "\\" in ended.output


@given(content_type=hostile, refusal=hostile)
def test_a_line_of_the_spool_is_json_and_shows_itself_on_a_terminal(content_type: str, refusal: str) -> None:
    received_at = datetime(2026, 11, 20, tzinfo=UTC)
    given = {
        "content_type": content_type,
        "skip_parsing_reason": refusal,
        "body": b"\x1b",
        "request_id": "r",
        "remote_addr": None,
    }
    line = as_line(1, Inbound(path="huawei/report", received_at=received_at, **given)).decode()
    assert of_obeyed(line) == []
    assert line.count("\n") == 1
    assert (json.loads(line)["content_type"], json.loads(line)["refusal"]) == (content_type, refusal)
