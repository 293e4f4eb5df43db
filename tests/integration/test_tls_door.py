"""The listener's own TLS under strangers who open connections and never finish the handshake."""

import asyncio
from contextlib import AsyncExitStack

import aiohttp
import trustme
from support import service as services
from support.certificates import client, issue
from support.wire import wire

from receiver.web import door

_MOST = 8
_SILENT = 40


async def test_unfinished_handshakes_keep_nobody_out(make_settings, monkeypatch, tmp_path):
    monkeypatch.setattr(door, "_MOST_ENTERING", _MOST)
    authority = trustme.CA()
    pair = issue(authority, tmp_path, "server")
    settings = make_settings(tls_certificate=str(pair.certificate), tls_key=str(pair.key))
    async with services.running(settings) as service, AsyncExitStack() as stack:
        plain = service.url.replace("https://", "http://")
        silent = [await stack.enter_async_context(wire(plain)) for _ in range(_SILENT)]
        connector = aiohttp.TCPConnector(ssl=client(authority), force_close=True)
        async with aiohttp.ClientSession(connector=connector) as honest:
            for number in range(5):
                body = {"smsMsgId": f"honest-{number}", "status": "DELIVRD"}
                async with honest.post(f"{service.url}/callback/huawei/report", data=body) as answer:
                    assert answer.status == 200
        async with asyncio.timeout(5):  # half of what a handshake has
            ended = [await one.rest() for one in silent[: _SILENT - _MOST]]
        assert set(ended) == {b""}, "the oldest gave way"
