"""Every genuine push among the fixtures is as genuine behind a proxy: nothing that is signed was changed on the way."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from support import fronts
from support.cases import FOLDER
from support.front import Front

from receiver.providers import VERIFIERS
from receiver.providers.base import SignedHead
from receiver.report import ProviderName

GENUINE = {
    file.stem: story
    for file in sorted((FOLDER / "signatures" / "huawei").glob("*.json"))
    if (story := json.loads(file.read_text(encoding="utf-8")))["error"] is None and "/callback/" in story["path"]
}


@dataclass(frozen=True)
class Noting:
    """What stands behind the proxy; it is ready."""

    port: int
    ops_port: int


@pytest.fixture(scope="module", params=fronts.NAMES)
async def arrived(
    request: pytest.FixtureRequest, program: Callable[..., list[str]], open_folder: Path
) -> AsyncIterator[tuple[Front, list[tuple[SignedHead, bytes]]]]:
    """A proxy, and what a server behind it was sent, read as the receiver reads it."""
    requests: list[tuple[SignedHead, bytes]] = []

    async def note(one: web.Request) -> web.Response:
        path, _, query = one.raw_path.partition("?")
        if path != "/readyz":
            head = SignedHead(method=one.method, raw_path=path, raw_query=query, headers=tuple(one.headers.items()))
            requests.append((head, await one.read()))
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", note)
    runner = web.AppRunner(app, auto_decompress=False)
    await runner.setup()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        behind = [Noting(port, port)] * 3
        folder = open_folder / f"signatures-{request.param}"
        yield stack.enter_context(fronts.running(request.param, program, folder, behind)), requests


@pytest.mark.parametrize("name", GENUINE)
async def test_the_signature_still_fits(arrived: tuple[Front, list[tuple[SignedHead, bytes]]], name: str) -> None:
    front, requests = arrived
    story = GENUINE[name]
    answer = await front.send(on_the_wire(story))
    assert answer.status == 200
    head, body = requests[-1]
    VERIFIERS[ProviderName("huawei")](head, story["keys"], datetime.fromisoformat(story["now"]))(body)


def on_the_wire(story: dict[str, Any]) -> bytes:
    body = base64.b64decode(story["body_base64"]) if "body_base64" in story else story["body"].encode()
    target = story["path"] + (f"?{story['query']}" if story["query"] else "")
    lines = [f"{story['method']} {target} HTTP/1.1", *(f"{header}: {value}" for header, value in story["headers"])]
    if not any(header.lower() == "content-length" for header, _ in story["headers"]):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode() + body
