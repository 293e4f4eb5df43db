"""URLs and answers: statuses, headers and bodies, as a platform, an application and a monitor meet them."""

import gzip
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from support import service as services
from support.golden import BODIES, SUBMITTED, check, masked
from support.service import Service
from support.wire import head, wire

TOKEN = "golden-token.0123456789"
MAX_BODY = 20_000
LARGE = b" " * (MAX_BODY + 1)
GZIP = {"Content-Encoding": "gzip"}
_OF_THE_MOMENT = {"date", "content-length"}
_BODIES_ELSEWHERE = {"/metrics"}


class Told:
    """What was asked and what was answered, line by line."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.text = ""

    async def ask(
        self, method: str, path: str, case: str = "", body: bytes | str = b"", *, ops: bool = False, **headers: str
    ) -> None:
        url = (self._service.ops_url if ops else self._service.url) + path
        data = body.encode() if isinstance(body, str) else body
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._service.client.request(
            method, url, data=data or None, headers=sent, allow_redirects=False
        ) as response:
            answered = (await response.read()).decode()
        seen = [(name.decode().lower(), value.decode()) for name, value in response.raw_headers]
        self.add(method, path, case, response.status, seen, "" if path in _BODIES_ELSEWHERE else answered)

    async def ask_by_hand(self, case: str, sent: bytes) -> None:
        """What no client library would send; the body of an answer to what is no HTTP is aiohttp's affair."""
        async with wire(self._service.url) as connection:
            await connection.send(sent)
            answer = await connection.answer()
        is_ours = "json" in answer.headers["content-type"]
        self.add("-", "", case, answer.status, answer.headers.items(), answer.body.decode() if is_ours else "")

    def add(
        self, method: str, path: str, case: str, status: int, headers: Iterable[tuple[str, str]], body: str
    ) -> None:
        shown = sorted(f"    {name}: {value}" for name, value in headers if name not in _OF_THE_MOMENT)
        told = [f"{method} {path}  {case}".rstrip(), f"    {status}", *shown, *([f"    {body}"] if body else [])]
        self.text += masked("\n".join([*told, "", ""]))


async def test_callbacks(make_settings: Callable[..., object]) -> None:
    async with services.running(make_settings(max_body_bytes=MAX_BODY)) as service:
        told = Told(service)
        for path, (content_type, body) in BODIES.items():
            typed = {"Content_Type": content_type}
            await told.ask("POST", path, "good", body, **typed)
            await told.ask("POST", path, "the same again", body, **typed)
            await told.ask("POST", path, "malformed", b"\xff<html>", **typed)
            await told.ask("POST", path, "empty", **typed)
            await told.ask("HEAD", path)
            await told.ask("GET", path)
            await told.ask("PUT", path, "", body)
            await told.ask("POST", path, "too large", LARGE)
            await told.ask("POST", path, "compressed", gzip.compress(body.encode(), mtime=0), **GZIP)
            await told.ask("POST", f"{path}/{TOKEN}", "a token where none is asked for", body)
        for path in ("/", "/callback/huawei", "/callback/acme/report", "/healthz", "/submissions/huawei"):
            for method in ("POST", "GET", "HEAD"):
                await told.ask(method, path, "unknown path")
        await told.ask_by_hand("no HTTP", b"\x16\x03\x01\r\n\r\n")
        await told.ask_by_hand("a large head", head("/callback/huawei/report", f"X-Fill: {'x' * 20_000}"))
    check("http-callbacks.txt", told.text)


async def test_what_a_receiver_with_locks_answers(make_settings: Callable[..., object]) -> None:
    locks = {
        "callback_tokens": TOKEN,
        "allowed_addresses": "cloudsms=203.0.113.0/24",
        "push_keys": "huawei:golden-access:golden-secret-0123456789",
        "ops_token": TOKEN,
    }
    async with services.running(make_settings(**locks)) as service:
        told = Told(service)
        for path in ("/callback/tencent/reports", "/callback/cloudsms/report", "/callback/huawei/report"):
            content_type, body = BODIES[path]
            for case, url in (("right token", f"{path}/{TOKEN}"), ("wrong token", f"{path}/{TOKEN}x"), ("none", path)):
                for method in ("POST", "GET", "HEAD"):
                    sent = body if method == "POST" else b""
                    await told.ask(method, url, case, sent, Content_Type=content_type)
        signed = {"X_Sdk_Date": "20201120T091504Z", "Authorization": "SDK-HMAC-SHA256 Access=golden-access"}
        await told.ask("POST", f"/callback/huawei/report/{TOKEN}", "a wrong signature", "smsMsgId=1", **signed)
        for path in ("/healthz", "/readyz", "/metrics", "/spool", "/elsewhere"):
            await told.ask("GET", path, "no bearer", ops=True)
        await told.ask("GET", "/spool", "wrong bearer", ops=True, Authorization=f"Bearer {TOKEN}x")
        await told.ask("GET", "/spool", "right bearer", ops=True, Authorization=f"Bearer {TOKEN}")
        await told.ask("POST", "/submissions/huawei", "no bearer", SUBMITTED, ops=True)
    check("http-locks.txt", told.text)


async def test_what_a_receiver_that_can_keep_nothing_answers(
    make_settings: Callable[..., object], database: str, nowhere: str, tmp_path: Path
) -> None:
    full = partial(make_settings, database_url=nowhere, spool_max_bytes=1, max_body_bytes=1_000_000)
    hurried = full(data_dir=tmp_path / "hurried", body_timeout_s=0.2)
    async with (
        services.running(full(), sql_url=database) as service,
        services.running(hurried, sql_url=database) as other,
    ):
        told, of_the_other = Told(service), Told(other)
        for path, (content_type, body) in BODIES.items():
            await told.ask("POST", path, "nothing can keep it", body + " " * 400_000, Content_Type=content_type)
            await of_the_other.ask_by_hand(f"POST {path}: slow", head(path, "Content-Length: 9", "Connection: close"))
            told.text, of_the_other.text = told.text + of_the_other.text, ""
        await told.ask("POST", "/submissions/huawei", "nothing can keep it", SUBMITTED + " " * 400_000, ops=True)
        await told.ask("GET", "/healthz", ops=True)
        await told.ask("GET", "/readyz", ops=True)
    check("http-busy.txt", told.text)


async def test_submissions_and_ops(make_settings: Callable[..., object]) -> None:
    async with services.running(make_settings(max_body_bytes=MAX_BODY)) as service:
        told = Told(service)
        for platform in ("huawei", "cloudsms", "tencent", "acme"):
            path = f"/submissions/{platform}"
            await told.ask("POST", path, "malformed", b"\xff<html>", ops=True)
            await told.ask("GET", path, ops=True)
            await told.ask("HEAD", path, ops=True)
        path = "/submissions/huawei"
        await told.ask("POST", f"{path}?correlation=order-7", "good", SUBMITTED, ops=True)
        await told.ask("POST", path, "the same again", SUBMITTED, ops=True)
        await told.ask("POST", f"{path}?correlation={'x' * 257}", "correlation too long", SUBMITTED, ops=True)
        await told.ask("POST", path, "too large", LARGE, ops=True)
        await told.ask("POST", path, "compressed", gzip.compress(SUBMITTED.encode(), mtime=0), ops=True, **GZIP)
        for path in ("/healthz", "/readyz", "/metrics", "/spool", "/spool/export", "/other", "/callback/huawei/report"):
            for method in ("GET", "HEAD", "POST"):
                await told.ask(method, path, ops=True)
        for query in ("colour=red", "status=lost", "country=China", "last=201"):
            await told.ask("GET", f"/live/events?{query}", "no filter of the stream", ops=True)
        for method in ("HEAD", "POST"):
            await told.ask(method, "/live/events", ops=True)
        await told.ask("GET", "/spool", "a strange Host", ops=True, Host="rebound.example")
        await told.ask("GET", "/spool", "a page of another site", ops=True, Origin="https://elsewhere.example")
        await told.ask("GET", "/readyz", "a strange Host", ops=True, Host="rebound.example")
    check("http-ops.txt", told.text)
