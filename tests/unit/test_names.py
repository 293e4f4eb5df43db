"""While the name service hangs, no attempt to connect takes a thread away from others."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from receiver.store import connecting

URL = "postgresql://sms_app@db-a.example,db-b.example/sms"
NAMES = ("db-a.example", "db-b.example")
THREADS = 2
ATTEMPTS = 4


@dataclass
class Resolver:
    """Answers nothing until it is told to, and then that there is no such name."""

    answers: threading.Event = field(default_factory=threading.Event)
    asked: "Counter[str]" = field(default_factory=Counter)

    def getaddrinfo(self, host: str, *_: object, **__: object) -> list[object]:
        self.asked[host] += 1
        self.answers.wait()
        raise socket.gaierror(socket.EAI_NONAME, "no such name")


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver.getaddrinfo)
    yield resolver
    resolver.answers.set()


async def test_each_name_has_one_look_up_however_many_attempts_wait_for_it(resolver: Resolver) -> None:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(THREADS))
    for _ in range(ATTEMPTS):
        with suppress(OSError):
            await connecting.connect(URL, timeout_s=0.05)
    try:
        async with asyncio.timeout(10):
            assert await asyncio.to_thread(lambda: "pages, TLS, the timelines' file") is not None
        assert resolver.asked == dict.fromkeys(NAMES, 1)
    finally:
        resolver.answers.set()


async def test_what_a_look_up_has_found_is_asked_anew(resolver: Resolver) -> None:
    resolver.answers.set()
    for _ in range(2):
        with pytest.raises(OSError, match="no such name"):
            await connecting.connect("postgresql://sms_app@db-c.example/sms", timeout_s=10)
    assert resolver.asked == {"db-c.example": 4}, "the driver asks again, and says first what is wrong with the URL"


async def test_a_machine_without_a_thread_to_spare_reaches_no_database_for_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """As any other error of the network: of another kind it would be taken for a fault of the rows."""

    def start(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(OSError, match="can't start new thread"):
        await connecting.connect("postgresql://sms_app@db-d.example/sms", timeout_s=10)
