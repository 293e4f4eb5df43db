"""Deadlines and numbers: who is slow is ended, who is one too many is told so, and honest requests get through."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
from support import service as services
from support.dialects import ENDPOINT_PATHS, assert_bad, good_body
from support.service import Service
from support.shared import shared_service
from support.waiting import eventually
from support.wire import Answer, Wire, head, request, wire

from receiver.server.limiter import SLOW_S
from receiver.server.protocol import MAX_HEAD, MAX_HEADERS
from receiver.settings import Settings
from receiver.web.body import SMALL_BYTES

PATH = "huawei/report"
URL = f"/callback/{PATH}"
HEADER_TIMEOUT_S = 0.3
MOST = 7
"""So few that the service lets nobody in on top, not even for a moment."""


@pytest.fixture(scope="module")
async def service(cluster: str, template: str) -> AsyncIterator[Service]:
    async with shared_service(cluster, template, header_timeout_s=HEADER_TIMEOUT_S, body_timeout_s=1.0) as service:
        yield service


@pytest.fixture
async def narrow(make_settings: Callable[..., Settings]) -> AsyncIterator[Service]:
    """Few connections, few requests, and patience with PostgreSQL."""
    patient = {"database_timeout_s": 20.0, "answer_deadline_s": 30.0, "header_timeout_s": 60.0}
    async with services.running(make_settings(max_connections=MOST, max_requests=3, **patient)) as service:
        yield service


async def ended(service: Service, cause: str) -> float:
    return await service.metric(f'receiver_connections_ended_total{{cause="{cause}"}}')


async def honest(connection: Wire, name: str) -> Answer:
    await connection.send(request(URL, good_body(PATH, name)))
    return await connection.answer()


@asynccontextmanager
async def several(
    service: Service, number: int, *, address: str | None = None, beside: int = 0
) -> AsyncIterator[list[Wire]]:
    """Open connections, which the service has seen, `beside` so many others."""
    async with AsyncExitStack() as stack:
        made = [await stack.enter_async_context(wire(service.url, address=address)) for _ in range(number)]

        async def seen() -> bool:
            return await service.metric("receiver_connections ") >= beside + number

        await eventually(seen)
        yield made


@asynccontextmanager
async def stalled(service: Service) -> AsyncIterator[None]:
    """PostgreSQL takes nothing while the block runs."""
    transaction = service.sql.transaction()
    await transaction.start()
    await service.sql.execute("LOCK TABLE sms_data.report IN ACCESS EXCLUSIVE MODE")
    try:
        yield
    finally:
        await transaction.rollback()


async def drip(connection: Wire, whole: bytes) -> None:
    with suppress(ConnectionError):
        for byte in whole:
            await connection.send(bytes([byte]))
            await asyncio.sleep(HEADER_TIMEOUT_S / 10)


@pytest.mark.parametrize("behind", [False, True], ids=["the first", "the next"])
async def test_a_head_that_drips_in_is_not_waited_for(service: Service, *, behind: bool) -> None:
    before = await ended(service, "slow_head")
    async with wire(service.url) as connection:
        if behind:
            assert (await honest(connection, "before-a-drip")).status == 200
        dripping = asyncio.create_task(drip(connection, request(URL, good_body(PATH, "drip"), f"X-More: {'x' * 500}")))
        assert (await connection.answer()).status == 408
        assert await connection.rest() == b""
        dripping.cancel()
    assert await ended(service, "slow_head") == before + 1
    assert await service.count(PATH, "drip") == 0


async def test_who_says_nothing_is_shown_out_and_who_is_idle_between_requests_is_not(service: Service) -> None:
    async with wire(service.url) as idle:
        assert (await honest(idle, "idle-1")).status == 200
        async with wire(service.url) as silent:
            assert (await silent.answer()).status == 408
        assert (await honest(idle, "idle-2")).status == 200


async def in_flight(service: Service, number: int) -> bool:
    return await service.metric("receiver_requests_in_flight ") == number


async def test_an_answer_that_nobody_reads_is_not_kept_for_ever(service: Service) -> None:
    """Asked for what is long: the metrics, until no buffer on the way holds more."""
    async with wire(service.ops_url) as connection:
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
        connection.writer.write(head("/metrics", method="GET").replace(b"receiver.test", b"localhost") * 3_000)

        async def given_up() -> bool:
            return await ended(service, "not_read") > 0

        await eventually(given_up)


async def test_slow_ones_give_way_to_new_ones_then_idle_ones(narrow: Service) -> None:
    """Every newcomer stays, so that each needs somebody's place: the last one that of an idle one."""
    async with AsyncExitStack() as stack:
        idle = await stack.enter_async_context(wire(narrow.url))
        assert (await honest(idle, "idle")).status == 200
        silent = await stack.enter_async_context(several(narrow, MOST - 1, beside=1))
        await asyncio.sleep(SLOW_S)
        newcomers = []
        for number in range(MOST):
            newcomers.append(await stack.enter_async_context(wire(narrow.url)))
            assert (await honest(newcomers[-1], f"newcomer-{number}")).status == 200
            assert await ended(narrow, "gave_way") == number + 1
            if number == MOST - 2:
                assert [await connection.rest() for connection in silent] == [b""] * len(silent)
                assert (await honest(idle, "idle-still")).status == 200
        assert (await honest(newcomers[-1], "stays")).status == 200
    assert await ended(narrow, "full") == 0


async def test_a_slow_body_gives_way_too_also_behind_an_upgrade(narrow: Service) -> None:
    """aiohttp parses what stands behind an upgrade that it declines in a place of its own."""
    upgrade = request("/", b"", "Connection: Upgrade", "Upgrade: websocket", method="GET")
    for number, before in enumerate((b"", upgrade)):
        gave_way = await ended(narrow, "gave_way")
        async with several(narrow, MOST) as slow:
            for connection in slow:
                await connection.send(before + request(URL, good_body(PATH, "slow-body"))[:-5])
            await asyncio.sleep(0.1)
            for connection in slow:
                await connection.send(b"x")
            async with wire(narrow.url) as newcomer:
                assert (await honest(newcomer, f"quick-{number}")).status == 200
        assert await ended(narrow, "gave_way") > gave_way
        await eventually(lambda: is_empty(narrow))
    assert await ended(narrow, "full") == 0


async def is_empty(service: Service) -> bool:
    return await service.metric("receiver_connections ") == 0


async def test_nobody_is_shown_out_whose_report_is_being_kept(make_settings: Callable[..., Settings]) -> None:
    """Nor does a head that drips in behind it cost a report its answer."""
    patient = {"database_timeout_s": 20.0, "answer_deadline_s": 30.0, "max_connections": MOST}
    async with services.running(make_settings(**patient)) as service, several(service, MOST) as busy:
        async with stalled(service):
            for number, connection in enumerate(busy):
                await connection.send(request(URL, good_body(PATH, f"kept-{number}")))
                await connection.send(b"POST /call")
            await eventually(lambda: in_flight(service, MOST))
            async with wire(service.url) as newcomer:
                answer = await newcomer.answer()
                assert (answer.status, answer.headers["retry-after"]) == (503, "5")
                assert await newcomer.rest() == b""
        for connection in busy:
            assert (await connection.answer()).status == 200
        assert await ended(service, "full") == 1
        async with wire(service.url) as newcomer:
            assert (await honest(newcomer, "afterwards")).status == 200


async def test_more_requests_than_can_be_worked_on_are_told_to_come_again(narrow: Service) -> None:
    async with several(narrow, 3) as busy:
        async with stalled(narrow):
            for number, connection in enumerate(busy):
                await connection.send(request(URL, good_body(PATH, f"taken-{number}")))
            await eventually(lambda: in_flight(narrow, 3))
            for path in ENDPOINT_PATHS:
                async with wire(narrow.url) as newcomer:
                    await newcomer.send(request(f"/callback/{path}", good_body(path, "later")))
                    answer = await newcomer.answer()
                assert answer.status == 503
                assert answer.headers["retry-after"]
                assert_bad(path, answer.said, busy=True)
        for connection in busy:
            assert (await connection.answer()).status == 200
        assert (await honest(busy[0], "free-again")).status == 200


async def test_large_bodies_that_do_not_end_take_no_more_memory_than_there_is_for_them(
    make_settings: Callable[..., Settings],
) -> None:
    room = 100_000
    large = good_body(PATH, "large").ljust(SMALL_BYTES + room // 2)
    async with services.running(make_settings(large_bodies_max_bytes=room)) as service:

        async def answer_to(path: str, body: bytes) -> Answer:
            async with wire(service.url) as connection:
                await connection.send(request(f"/callback/{path}", body))
                return await connection.answer()

        async def is_answered(status: int) -> bool:
            return (await answer_to(PATH, large)).status == status

        async with wire(service.url) as endless:
            await endless.send(request(URL, good_body(PATH, "endless").ljust(SMALL_BYTES + room))[:-5])
            await eventually(lambda: is_answered(503))
            for path in ENDPOINT_PATHS:
                refused = await answer_to(path, good_body(path, "large").ljust(len(large)))
                assert refused.status == 503
                assert refused.headers["retry-after"]
                assert_bad(path, refused.said, busy=True)
                assert (await answer_to(path, good_body(path, "small"))).status == 200
        await eventually(lambda: is_answered(200))


async def test_one_address_cannot_have_all_connections(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(max_connections_per_address=3, trusted_proxies="127.0.0.3")
    async with services.running(settings) as service:
        async with several(service, 3):
            async with wire(service.url) as fourth:
                assert (await fourth.answer()).status == 503
            async with wire(service.url, address="127.0.0.2") as neighbour:
                assert (await honest(neighbour, "neighbour")).status == 200
            async with several(service, 9, address="127.0.0.3", beside=3) as of_a_proxy:
                assert (await honest(of_a_proxy[-1], "of-a-proxy")).status == 200
        assert await ended(service, "full_for_address") == 1
        await eventually(lambda: is_empty(service))
        async with wire(service.url) as again:
            assert (await honest(again, "again")).status == 200


async def test_headers_are_bounded_in_number_and_in_size(service: Service) -> None:
    malformed = await service.metric("receiver_malformed_requests_total")
    few, many = ([f"X-{number}: x" for number in range(length)] for length in (MAX_HEADERS - 5, MAX_HEADERS + 1))
    async with wire(service.url) as connection:
        await connection.send(request(URL, good_body(PATH, "few-headers"), *few))
        assert (await connection.answer()).status == 200
        await connection.send(request(URL, good_body(PATH, "many-headers"), *many))
        assert (await connection.answer()).status == 400
    async with wire(service.url) as connection:
        await connection.send(request(URL, b"", f"X-Long: {'x' * 10_000}"))
        assert (await connection.answer()).status == 400
    assert await service.metric("receiver_malformed_requests_total") == malformed + 2


async def test_a_head_that_grows_and_grows_is_cut_off(service: Service) -> None:
    async with wire(service.url) as connection:
        with suppress(ConnectionError):
            await connection.send(b"POST / HTTP/1.1\r\n")
            for number in range(2 * MAX_HEAD // 5_000):
                await connection.send(b"X-%d: %s\r\n" % (number, b"x" * 5_000))
                await asyncio.sleep(0)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            assert (await connection.answer()).status == 431
    assert await ended(service, "large_head") == 1
