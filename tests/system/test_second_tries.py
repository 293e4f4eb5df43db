"""What the proxies do with the answers of receivers: they ask another where it may do better, and change none."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from support import fronts, wire
from support.front import Front
from support.wire import Answer

PATH = "/callback/huawei/report"
BODY = b"smsMsgId=1&status=DELIVRD"
BUSY = (503, '{"returnCode":1,"returnCodeDesc":"try again later"}', {"Retry-After": "7"})
GOOD = (200, '{"returnCode":0,"returnCodeDesc":"Success"}', {})
REFUSED = [
    (400, '{"returnCode":1,"returnCodeDesc":"no smsMsgId"}', {}),
    (401, '{"returnCode":1,"returnCodeDesc":"the signature does not fit"}', {}),
    (404, '{"returnCode":1,"returnCodeDesc":"no such callback URL"}', {}),
    (413, '{"returnCode":1,"returnCodeDesc":"too large"}', {}),
]


@dataclass
class Scripted:
    """It stands for a receiver that is ready, and answers each callback alike. `asked` are the callbacks' bodies."""

    says: tuple[int, str, dict[str, str]] = GOOD
    asked: list[bytes] = field(default_factory=list)
    port: int = 0

    @property
    def ops_port(self) -> int:
        return self.port

    async def answer(self, request: web.Request) -> web.Response:
        if request.path == "/readyz":
            return web.Response()
        self.asked.append(await request.read())
        status, text, headers = self.says
        return web.Response(status=status, text=text, headers=headers, content_type="application/json")

    async def listen(self, stack: AsyncExitStack) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]


@pytest.fixture(scope="module", params=fronts.NAMES)
async def before(
    request: pytest.FixtureRequest, program: Callable[..., list[str]], open_folder: Path
) -> AsyncIterator[tuple[Front, list[Scripted]]]:
    async with AsyncExitStack() as stack:
        servers = [Scripted() for _ in range(3)]
        for server in servers:
            await server.listen(stack)
        folder = open_folder / f"second-{request.param}"
        yield stack.enter_context(fronts.running(request.param, program, folder, servers)), servers


async def answers(before: tuple[Front, list[Scripted]], *says: tuple[int, str, dict[str, str]]) -> Answer:
    """The answer to a callback, where the three say so."""
    front, servers = before
    for server, told in zip(servers, says, strict=True):
        server.says = told
        server.asked.clear()
    return await front.send(wire.request(PATH, BODY))


async def test_a_callback_goes_to_another_where_one_is_busy(before: tuple[Front, list[Scripted]]) -> None:
    for busy in range(3):
        assert (await answers(before, *(BUSY if one == busy else GOOD for one in range(3)))).status == 200
        assert (await answers(before, *(GOOD if one == busy else BUSY for one in range(3)))).status == 200


async def test_where_all_are_busy_the_platform_is_told_so_in_its_own_shape(
    before: tuple[Front, list[Scripted]],
) -> None:
    answer = await answers(before, BUSY, BUSY, BUSY)
    assert (answer.status, answer.body.decode(), answer.headers["retry-after"]) == (503, BUSY[1], "7")
    assert [server.asked for server in before[1]] == [[BODY]] * 3


@pytest.mark.parametrize("refusal", REFUSED, ids=lambda refusal: str(refusal[0]))
async def test_what_one_refuses_no_other_is_asked(
    before: tuple[Front, list[Scripted]], refusal: tuple[int, str, dict[str, str]]
) -> None:
    answer = await answers(before, refusal, refusal, refusal)
    assert (answer.status, answer.body.decode()) == refusal[:2]
    assert answer.headers["content-type"].startswith("application/json")
    assert sum(len(server.asked) for server in before[1]) == 1
