"""Characters that PostgreSQL has no room for cost no report and no reply, and nothing is known by a mended name."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.dialects import ENDPOINT_PATHS, good_body, known_by
from support.parsing import parse, parsed
from support.tencent_api import pushed_reply, reply

from receiver.providers.payload import as_json_text, mending, parse_form, parse_json
from receiver.providers.tencent_pulled import REPLIES as PULLED_REPLIES

CHARACTERS = {"U+0000": "\0", "the first half of a pair": "\ud83d", "the other half": "\ude00"}
BAD = pytest.mark.parametrize("bad", CHARACTERS.values(), ids=CHARACTERS)


def spoilt(path: str, bad: str) -> Iterator[tuple[str, bytes]]:
    """The good body with the character at the end of one field: each field that has a text, by its name."""
    body = good_body(path, "mending")
    if body[:1] not in b"{[":
        fields = parse_form(body.decode())
        for name in fields if bad == "\0" else ():
            yield name, urlencode(fields | {name: f"{fields[name]}{bad}"}).encode()
        return
    value = json.loads(body)
    for place in places(value):
        for name, good in list(place.items()):
            if not isinstance(good, dict | list):
                place[name] = f"{good}{bad}"
                yield name, json.dumps(value).encode()
                place[name] = good


def places(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from places(inner)


@BAD
@pytest.mark.parametrize("path", ENDPOINT_PATHS)
def test_only_what_a_report_is_known_by_is_refused(path: str, bad: str) -> None:
    for name, body in spoilt(path, bad):
        got = parsed(path, body)
        rows = [*got.reports, *got.replies]
        assert got.faults, "the bytes are kept beside what is stored"
        assert (not rows) == (name in known_by(path)), name
        again = parsed(path, body)
        assert [*again.reports, *again.replies] == rows, "what comes again is the same again"
        for row in rows:
            assert any("stored with U+FFFD" in fault for fault in got.faults)
            assert "\ufffd" in row.raw


def test_a_pulled_reply_is_the_pushed_one() -> None:
    item = reply(1, ReplyContent="a\0b")
    (pulled,) = parse(PULLED_REPLIES, json.dumps([item]).encode()).replies
    (pushed,) = parse("tencent/reply", json.dumps(pushed_reply(item)).encode()).replies
    assert (pulled.body, pulled.reply_id) == ("a\ufffdb", pushed.reply_id)


def test_what_is_nested_too_deep_is_refused_and_surprises_nobody() -> None:
    deep = '{"more":' + "[" * 500 + "]" * 500 + ',"text":"\\u0000"}'
    assert parsed("tencent/reply", deep.encode()).faults == ["it is nested deeper than 32 levels"]


TEXTS = st.text(st.characters())


@given(st.dictionaries(TEXTS, TEXTS))
def test_every_text_can_be_stored_and_a_good_one_stays_as_it_is(item: dict[str, str]) -> None:
    bad = [char for text in (*item, *item.values()) for char in text if char == "\0" or "\ud800" <= char <= "\udfff"]
    faults: list[str] = []
    stored = parse_json(mending(as_json_text, item, faults))
    assert "\0" not in "".join(as_json_text(stored))
    assert bool(faults) == bool(bad)
    assert bad or stored == item
