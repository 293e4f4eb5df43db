"""What may be wrong with any body: found in payload.py, told in a sentence, and no other item pays for it."""

import json
from typing import Any

import pytest
from support.dialects import ENDPOINT_PATHS, good_body
from support.parsing import parsed, understood

from receiver.providers import fields
from receiver.providers.payload import (
    MAX_DEPTH,
    MAX_ITEMS,
    OptionalText,
    PayloadError,
    SegmentNumber,
    Text,
    Wire,
    as_json_text,
    as_list,
    as_object,
    each,
    parse_form,
    parse_json,
    read,
    text_of,
)


class Sample(Wire):
    id: Text
    code: Text
    note: OptionalText = None
    segment: SegmentNumber = None


def built(item: Any) -> tuple[Sample, Any]:
    """An item as its wire model, and as it is stored."""
    raw = json.loads(as_json_text(item))
    return read(Sample, item), raw


def items(body: bytes) -> tuple[list[tuple[Sample, Any]], list[str]]:
    """What an adapter makes of a list of items: those that are understood, and the faults of the others."""
    faults: list[str] = []
    listed = as_list(as_object(parse_json(text_of(body))).get("list"), "list")
    return list(each(listed, built, faults)), faults


GOOD = '{"id":"a","code":"DELIVRD"}'

BODIES = {
    "nothing": (b"", "the body is empty"),
    "white space": (b" \r\n ", "the body is empty"),
    "a mark alone": (b"\xef\xbb\xbf", "the body is empty"),
    "bytes of no kind": (bytes(range(0xD8, 0x100)), "not utf-8"),
    "a character cut in two": (b'{"list":[{"id":"a","code":"b","note":"\xe7\xa9"}]}', "not utf-8"),
    "GBK": ('{"list":[{"id":"空号"}]}'.encode("gbk"), "not utf-8"),
    "UTF-16 with its mark": (f'{{"list":[{GOOD}]}}'.encode("utf-16"), "not utf-8"),
    "a surrogate as bytes": (b'{"list":[{"id":"\xed\xa0\x80"}]}', "not utf-8"),
    "XML": (b'<?xml version="1.0"?><reports/>', "not json"),
    "a form": (b"id=1&code=2", "not json"),
    "a printed dict": (b"{'list': [{'id': 'a'}]}", "not json"),
    "a comma too many": (f'{{"list":[{GOOD},]}}'.encode(), "not json"),
    "cut off": (f'{{"list":[{GOOD[:-5]}'.encode(), "not json"),
    "a raw zero byte": (b'{"list":[{"id":"\0"}]}', "not json"),
    "NaN": (b'{"list":[{"id":"a","code":"b","n":NaN}]}', "nan is no json number"),
    "Infinity": (b'{"list":[{"id":"a","code":"b","n":Infinity}]}', "infinity is no json number"),
    "-Infinity": (b'{"list":[{"id":"a","code":"b","n":-Infinity}]}', "infinity is no json number"),
    "two documents": (f'{{"list":[{GOOD}]}}\n{{"list":[{GOOD}]}}'.encode(), "more text follows"),
    "words after the end": (f'{{"list":[{GOOD}]}}OK'.encode(), "more text follows"),
    "5,000 brackets": (b"[" * 5_000 + b"]" * 5_000, "a list stands where an object belongs"),
    "100,000 brackets, none closed": (b"[" * 100_000, "nested without end"),
    "3,000 objects, none closed": (b'{"list":' * 3_000, "not json"),
    "null": (b"null", "null stands where an object belongs"),
    "a number": (b"42", "a number stands where an object belongs"),
    "a text": (b'"DELIVRD"', "a text stands where an object belongs"),
    "a list": (f"[{GOOD}]".encode(), "a list stands where an object belongs"),
    "an empty object": (b"{}", "list is no list"),
    "a list that is null": (b'{"list":null}', "list is no list"),
    "a list that is a text": (b'{"list":"DELIVRD"}', "list is no list"),
    "an empty list": (b'{"list":[]}', "list is empty"),
    "too many items": (b'{"list":[%s]}' % b",".join([b"0"] * (MAX_ITEMS + 1)), "more than 5000 items"),
    "two lists of one name": (f'{{"list":[{GOOD}],"list":[]}}'.encode(), "the key list stands twice"),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_cannot_be_read_says_why(name: str) -> None:
    body, words = BODIES[name]
    with pytest.raises(PayloadError) as caught:
        items(body)
    # The decoder of some versions of Python ends deep nesting of its own accord, those of others by recursion.
    told = str(caught.value).lower()
    assert words in told or ("nest" in told and "brackets" in name)


DIGITS = "9" * 1_000
ITEMS = {
    "null": ("null", "null stands"),
    "a number": ("1", "a number stands"),
    "a text": ('"DELIVRD"', "a text stands"),
    "a list": ("[]", "a list stands"),
    "an empty object": ("{}", "id: field required; code: field required"),
    "no id": ('{"code":"b"}', "id: field required"),
    "no code": ('{"id":"a"}', "code: field required"),
    "a null": ('{"id":null,"code":"b"}', "id: "),
    "an empty text": ('{"id":" ","code":"b"}', "id: "),
    "true for a text": ('{"id":"a","code":true}', "code: "),
    "a list for a text": ('{"id":"a","code":["b"]}', "code: "),
    "an object for a text": ('{"id":{"n":1},"code":"b"}', "id: "),
    "257 characters": ('{"id":"%s","code":"b"}' % ("x" * 257), "id: "),
    "a thousand digits": (f'{{"id":{DIGITS},"code":"b"}}', "id: "),
    "five thousand digits": (f'{{"id":"a","code":{DIGITS * 5}}}', "code: "),
    "the same key twice": ('{"id":"a","code":"b","code":"c"}', "the key code stands twice"),
    "the same key twice with one value": ('{"id":"a","id":"a","code":"b"}', "the key id stands twice"),
    "the same key twice, deep inside": ('{"id":"a","code":"b","x":[{"k":1,"k":2}]}', "the key k stands twice"),
    "a hundred levels": ('{"id":"a","code":"b","x":%s}' % ("[" * 100 + "]" * 100), "it is nested deeper than 32"),
    "one level too many": ('{"id":"a","code":"b","x":%s}' % ("[" * MAX_DEPTH + "]" * MAX_DEPTH), "it is nested deeper"),
    "U+0000 in the id": (r'{"id":"a\u0000","code":"b"}', "id holds u+0000"),
    "half of a character in the code": (r'{"id":"a","code":"\ud83d"}', "code holds u+0000 or half"),
}


@pytest.mark.parametrize("name", ITEMS)
def test_a_bad_item_is_named_by_its_place_and_costs_no_other(name: str) -> None:
    item, words = ITEMS[name]
    stored, (fault,) = items(f'{{"list":[{GOOD},{item},{GOOD}]}}'.encode())
    assert len(stored) == 2
    assert f"item 2: {words}" in fault.lower()


ODD = {
    "a byte order mark": (f'\ufeff{{"list":[{GOOD}]}}', None),
    "white space around": (f' \r\n{{"list":[{GOOD}]}}\n', None),
    "a pair of surrogates": (r'{"list":[{"id":"a","code":"b","note":"\ud83d\ude00"}]}', "😀"),
    "an escaped backslash": (r'{"list":[{"id":"a","code":"b","note":"\\u0000"}]}', "\\u0000"),
    "escaped slashes": (r'{"list":[{"id":"a","code":"b","note":"1\/2"}]}', "1/2"),
    "escapes for Chinese": (r'{"list":[{"id":"a","code":"b","note":"\u7a7a\u53f7"}]}', "空号"),
    "a number for a text": ('{"list":[{"id":7,"code":2,"note":5}]}', "5"),
    "5,000 digits that nobody asked for": ('{"list":[{"id":"a","code":"b","x":%s}]}' % (DIGITS * 5), None),
    "a number beyond any float": ('{"list":[{"id":"a","code":"b","x":1e999}]}', None),
    "20 levels": ('{"list":[{"id":"a","code":"b","x":%s}]}' % ("[" * 20 + "]" * 20), None),
    "nothing in what may be left out": ('{"list":[{"id":"a","code":"b","note":null}]}', None),
    "a bare object for the list": (f'{{"list":{GOOD}}}', None),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_but_clear_is_understood(name: str) -> None:
    body, note = ODD[name]
    ((sample, _),), faults = items(body.encode())
    assert (sample.note, faults) == (note, [])


MENDED = {
    "U+0000": (r'{"id":"a","code":"b","note":"x\u0000"}', "x\ufffd"),
    "the first half of a pair": (r'{"id":"a","code":"b","note":"x\ud83d"}', "x\ufffd"),
    "the other half": (r'{"id":"a","code":"b","note":"\ude00x"}', "\ufffdx"),
    "U+0000 in a name": (r'{"id":"a","code":"b","y\u0000":1}', None),
}


@pytest.mark.parametrize("name", MENDED)
def test_what_postgresql_cannot_hold_is_mended_where_nothing_is_known_by_it(name: str) -> None:
    item, note = MENDED[name]
    ((sample, raw),), (fault,) = items(f'{{"list":[{item}]}}'.encode())
    assert fault.startswith("item 1: stored with U+FFFD")
    assert sample.note == note
    assert "\ufffd" in json.dumps(raw, ensure_ascii=False)


FORMS = {
    "bytes of no UTF-8": (b"id=a&code=b&note=\xff\xfe", "not utf-8"),
    "escapes of no UTF-8": (b"id=a&code=b&note=%E7%A9", "not utf-8"),
    "a name of no UTF-8": (b"id=a&code=b&%FF=1", "not utf-8"),
    "a surrogate in escapes": (b"id=a&code=b&note=%ED%A0%80", "not utf-8"),
    "GBK in escapes": (b"id=a&code=b&note=%BF%D5%BA%C5", "not utf-8"),
    "an empty id": (b"id=&code=b", "id: "),
    "an empty code": (b"id=a&code=", "code: "),
    "a code without =": (b"id=a&code", "code: "),
    "other fields": (b"foo=1&bar=2", "id: field required"),
    "multipart": (b'--b\r\nContent-Disposition: form-data; name="id"\r\n\r\na\r\n--b--\r\n', "id: field required"),
    "two ids": (b"id=a&id=b&code=c", "id stands twice"),
    "more fields than any form": (b"a=1&" * 1_000, "more than 1000 fields"),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_that_cannot_be_read_says_why(name: str) -> None:
    body, words = FORMS[name]
    with pytest.raises(PayloadError) as caught:
        read(Sample, parse_form(text_of(body)))
    assert words in str(caught.value).lower()


def test_what_is_no_segment_number_is_none() -> None:
    right = {"1": 1, "01": 1, "007": 7, 255: 255}
    wrong = ["0", "256", "-1", "1.5", 1.0, "1_0", "one", "", None, True, [], {}, "9" * 1_000, "9" * 5_000, "٣", "²"]
    read_as = {text: read(Sample, {"id": "a", "code": "b", "segment": text}).segment for text in right}
    assert read_as == right
    assert {read(Sample, {"id": "a", "code": "b", "segment": text}).segment for text in wrong} == {None}


@pytest.mark.parametrize(
    "text", [None, "", "soon", "2026-13-01T00:00:00Z", "0000-01-01 00:00:00", "2026-11-20T24:61:00Z"]
)
def test_what_is_no_time_is_none(text) -> None:
    for written in (text, text and text.replace("T", " ").rstrip("Z")):
        assert fields.iso_utc(written) is fields.beijing_wall_clock(written) is None


def test_the_zero_of_a_clock_is_no_time() -> None:
    """The driver sends it as -infinity, and PostgreSQL before 17 cannot subtract that: the report was refused."""
    assert fields.iso_utc("0001-01-01T00:00:00Z") is fields.beijing_wall_clock("0001-01-01 08:00:00") is None


REQUIRED = {
    "huawei/report": {"smsMsgId", "status"},
    "huawei/reports": {"smsMsgId", "status"},
    "huawei/uplink": {"smsMsgId"},
    "cloudsms/report": {"METHOD", "TYPE", "SMS_UID", "SMS_STATE"},
    "tencent/reports": {"sid"},
    "tencent/reply": {"text"},
}
"""The fields without which there is no report, and no reply."""

FREE_TEXTS = {"text"}
WRONG = [None, True, [], ["x"], {}, {"n": 1}]


@pytest.mark.parametrize("path", sorted(REQUIRED))
def test_a_required_field_that_is_missing_or_of_a_wrong_type_costs_the_item_and_is_named(path: str) -> None:
    assert set(REQUIRED) <= set(ENDPOINT_PATHS)
    body, offenders = good_body(path, "required"), []
    if body[:1] not in b"{[":
        pairs = [pair.split(b"=") for pair in body.split(b"&")]
        changed = [
            (name, b"&".join(b"=".join(pair) for pair in pairs if pair[0] != name.encode())) for name in REQUIRED[path]
        ]
    else:
        changed = [(name, altered) for name in REQUIRED[path] for altered in without_or_wrong(body, name)]
    for name, altered in changed:
        got = parsed(path, altered)
        if understood(got) or name.lower() not in "; ".join(got.faults).lower():
            offenders.append((name, altered[:80], got.faults))
    assert offenders == []


def without_or_wrong(body: bytes, name: str) -> list[bytes]:
    """The JSON body without the field, and with each wrong value in its place, however deep it stands."""

    def changed(value: Any, change: Any) -> Any:
        if isinstance(value, list):
            return [changed(inner, change) for inner in value]
        if not isinstance(value, dict):
            return value
        pairs = ((key, change if key == name else changed(inner, change)) for key, inner in value.items())
        return {key: inner for key, inner in pairs if inner is not ...}

    too_long = [] if name in FREE_TEXTS else [int("9" * 300), "x" * 257]
    return [json.dumps(changed(json.loads(body), change)).encode() for change in (..., *WRONG, *too_long)]
