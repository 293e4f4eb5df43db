"""What a stranger may put in each of his fields, for a page to obey: markup, scripts, signs of a terminal."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode

from support.dialects import ENDPOINT_PATHS, content_type, good_body, is_form
from support.service import Service
from support.submissions import answers

MARK = "zqx"
"""Stands in every element and attribute that is none of ours."""

VALUES = (
    f"</title></textarea></select></style></script><{MARK}-el {MARK}-a=1><script>{MARK}</script>",
    f'"><img src=x onerror={MARK}><svg/onload={MARK}> {MARK}-b="1" onfocus=\'{MARK}\' autofocus',
    f"' {MARK}-c='1' onmouseover='{MARK}",
    f"-->]]> {MARK}-d=1 `{{{{7*7919}}}}${{7*7919}}{{% for {MARK} in 1 %}}<%= 7*7919 %>",
    f"javascript:{MARK}//<a href=javascript:{MARK}>&lt;{MARK}-e&gt;&#60;{MARK}-f&#62;",
    f"\x1b[31m{MARK}\x1b]0;x\x07\x9b2J\x7f\b\r",
    f"\u202e{MARK}\u2066\u200b\u2028\u0085\ufeff\U000e0041",
    f"=1+1|{MARK}",
)
COMPUTED = str(7 * 7919)
"""What a template in a value would come to."""


def _ways(value: Any) -> list[list[str | int]]:
    if isinstance(value, dict):
        return [[key, *way] for key, inner in value.items() for way in _ways(inner)]
    if isinstance(value, list):
        return [[key, *way] for key, inner in enumerate(value) for way in _ways(inner)]
    return [[]]


def _changed(document: Any, way: list[str | int], value: Any) -> Any:
    copy = json.loads(json.dumps(document))
    place = copy
    for key in way[:-1]:
        place = place[key]
    place[way[-1]] = value
    return copy


def _json_bodies(document: Any) -> Iterator[bytes]:
    for way in _ways(document):
        yield from (json.dumps(_changed(document, way, value)).encode() for value in VALUES)
        for value in VALUES:  # a field that is not known, beside each that is
            yield json.dumps(
                _changed(document, [*way[:-1], value] if isinstance(way[-1], str) else way, value)
            ).encode()


def bodies(path: str) -> Iterator[bytes]:
    """A good body with each of its fields hostile in turn, and fields that are not known, in name and value."""
    body = good_body(path, "hostile")
    if is_form(path):
        good = dict(parse_qsl(body.decode(), keep_blank_values=True))
        for name in good:
            yield from (urlencode(good | {name: value}).encode() for value in VALUES)
        yield from (urlencode(good | {value: value}).encode() for value in VALUES)
    else:
        yield from _json_bodies(json.loads(body))
    yield from (value.encode() for value in VALUES)
    yield b"\xff\xfe" + VALUES[0].encode()


async def tell(service: Service) -> None:
    """Send all of it: to each callback URL, and as submissions."""
    turns = asyncio.Semaphore(16)

    async def send(url: str, body: bytes, **headers: str) -> None:
        async with turns, service.client.post(url, data=body, headers=headers) as response:
            assert response.status in {200, 400}

    query = urlencode({"a": VALUES[0], VALUES[1]: VALUES[2]})
    sent = []
    for path in ENDPOINT_PATHS:
        for number, body in enumerate(bodies(path)):
            typed = content_type(path) if number % 9 else f"text/html; {VALUES[1]}"
            url = f"{service.url}/callback/{path}" + (f"?{query}" if number % 5 == 0 else "")
            sent.append(send(url, body, **{"Content-Type": typed}))
    for answer in (one for one in answers() if one.name.partition("/")[2].startswith("sample")):
        for number, body in enumerate(_json_bodies(json.loads(answer.body))):
            correlation = urlencode({"correlation": VALUES[number % 5]})
            sent.append(send(f"{service.ops_url}{answer.path}?{correlation}", body))
    await asyncio.gather(*sent)
