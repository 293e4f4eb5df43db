"""Tencent's SMS API as it is on the wire: signature checked, queues that forget what they hand out, its own errors.

It remembers what the platform would not: every call, and what each handed out.
"""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from support import tc3

SECRET_ID = "AKIDforTestsOnly0000000000000000"
SECRET_KEY = "a key that opens nothing"
APP_ID = "1400006666"
VERSION = "2021-01-11"

REPORTS = "PullSmsSendStatus"
REPLIES = "PullSmsReplyStatus"
BY_NUMBER = "ByPhoneNumber"
_LISTS = {REPORTS: "PullSmsSendStatusSet", REPLIES: "PullSmsReplyStatusSet"}
_TIMES = {REPORTS: "UserReceiveTime", REPLIES: "ReplyTime"}
_MOST = 100
_CLOCK_S = 300

Item = dict[str, Any]
Fault = Literal["hangs up", "cuts the answer", "says nothing", "502", "internal error", "other JSON", "a web page"]
"""What becomes of an answer; the first two, after the queue was read."""


class _Refused(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code, self.message = code, message


@dataclass
class Call:
    """One request that was let in. `handed` is gone from the queue."""

    action: str
    parameters: dict[str, Any]
    handed: list[Item] = field(default_factory=list)
    fault: Fault | None = None


@dataclass
class Api:
    """`queues` by action. `fault` is what the next calls meet; `gate`, cleared, holds answers back."""

    queues: dict[str, list[Item]] = field(default_factory=lambda: defaultdict(list))
    history: dict[str, list[Item]] = field(default_factory=lambda: defaultdict(list))
    calls: list[Call] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    fault: Fault | None = None
    content_type: str = "application/json"
    calls_per_second: int = 1_000_000
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""
    _seconds: Counter[int] = field(default_factory=Counter)

    def give(self, items: Iterable[Item], action: str = REPORTS) -> None:
        """Something to be pulled; the platform will also tell of it by number."""
        items = list(items)
        self.queues[action] += items
        self.history[action] += items

    def handed(self, action: str = REPORTS) -> list[Item]:
        return [item for call in self.calls if call.action == action for item in call.handed]

    def calls_of(self, action: str = REPORTS) -> list[Call]:
        return [call for call in self.calls if call.action == action]

    @property
    def settings(self) -> dict[str, object]:
        """Of the receiver, by field name, to pull from here."""
        given = {"secret_id": SECRET_ID, "secret_key": SECRET_KEY, "sdk_app_id": APP_ID, "endpoint": self.url}
        return {f"tencent_pull_{name}": value for name, value in given.items()} | {"tencent_pull_interval_s": 0.05}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        action = request.headers.get("X-TC-Action", "")
        try:
            parameters = self._let_in(request, action, body)
            call = Call(action, parameters, fault=self.fault)
            response: dict[str, Any] = self._carry_out(call)
        except _Refused as refused:
            self.refused[refused.code] += 1
            response = {"Error": {"Code": refused.code, "Message": refused.message}}
            return self._json(response)
        await self.gate.wait()
        return await self._faulty(request, call, response) if call.fault else self._json(response)

    def _let_in(self, request: web.Request, action: str, body: bytes) -> dict[str, Any]:
        headers = {name.lower(): value for name, value in request.headers.items()}
        said = tc3.claim(headers.get("authorization", ""))
        stamp = headers.get("x-tc-timestamp", "")
        if request.method != "POST" or said is None or said.service != "sms" or not stamp.isdigit():
            raise _Refused("AuthFailure.InvalidAuthorization", "The header can't be read.")
        if said.secret_id != SECRET_ID:
            raise _Refused("AuthFailure.SecretIdNotFound", "No such key.")
        if abs(time.time() - int(stamp)) > _CLOCK_S:
            raise _Refused("AuthFailure.SignatureExpire", "Too old, or not yet.")
        if not tc3.is_genuine(said, SECRET_KEY, request.method, headers, stamp, body):
            raise _Refused("AuthFailure.SignatureFailure", "The signature is wrong.")
        if headers.get("x-tc-version") != VERSION or action.removesuffix(BY_NUMBER) not in _LISTS:
            raise _Refused("InvalidAction", "No such action.")
        if not headers.get("x-tc-region"):
            raise _Refused("MissingParameter", "Region")
        parameters: dict[str, Any] = json.loads(body)
        self._check(action, parameters)
        return parameters

    def _check(self, action: str, parameters: dict[str, Any]) -> None:
        self._seconds[int(time.time())] += 1
        if self._seconds[int(time.time())] > self.calls_per_second:
            raise _Refused("RequestLimitExceeded", "Too many calls.")
        needed = {"SmsSdkAppId": str, "Limit": int}
        if action.endswith(BY_NUMBER):
            needed |= {"PhoneNumber": str, "BeginTime": int, "EndTime": int, "Offset": int}
        for name, kind in needed.items():
            if not isinstance(parameters.get(name), kind):
                raise _Refused("MissingParameter", name)
        if set(parameters) - set(needed):
            raise _Refused("UnknownParameter", str(set(parameters) - set(needed)))
        if not 1 <= parameters["Limit"] <= _MOST or parameters.get("Offset"):
            raise _Refused("InvalidParameterValue", "Limit or Offset")
        if parameters["SmsSdkAppId"] != APP_ID:
            raise _Refused("UnauthorizedOperation.SmsSdkAppIdVerifyFail", "Not yours.")

    def _carry_out(self, call: Call) -> dict[str, Any]:
        """The queue is read here and nowhere else: from now on the items are the caller's."""
        kind, limit = call.action.removesuffix(BY_NUMBER), call.parameters["Limit"]
        self.calls.append(call)
        if call.action != kind:
            return {_LISTS[kind]: self._of_number(kind, call.parameters)[:limit]}
        if call.fault in (None, "hangs up", "cuts the answer"):
            call.handed, self.queues[kind] = self.queues[kind][:limit], self.queues[kind][limit:]
        return {_LISTS[kind]: call.handed}

    def _of_number(self, kind: str, parameters: dict[str, Any]) -> list[Item]:
        return [
            item
            for item in self.history[kind]
            if item["PhoneNumber"] == parameters["PhoneNumber"]
            and parameters["BeginTime"] <= item[_TIMES[kind]] <= parameters["EndTime"]
        ]

    def _json(self, response: dict[str, Any]) -> web.Response:
        text = json.dumps({"Response": response | {"RequestId": f"{len(self.calls):08d}-req"}})
        return web.Response(body=text.encode(), headers={"Content-Type": self.content_type})

    async def _faulty(self, request: web.Request, call: Call, response: dict[str, Any]) -> web.StreamResponse:
        whole = self._json(response).body
        if call.fault == "502":
            return web.Response(status=502, text="<html>Bad Gateway</html>", content_type="text/html")
        if call.fault == "internal error":
            return self._json({"Error": {"Code": "InternalError", "Message": "Something broke."}})
        if call.fault == "other JSON":
            return web.json_response({"code": 0})
        if call.fault == "a web page":
            return web.Response(text="<html>Please log in</html>", content_type="text/html")
        if call.fault == "says nothing":
            await asyncio.sleep(3600)
        answer = web.StreamResponse(headers={"Content-Type": self.content_type, "Content-Length": str(len(whole))})
        if call.fault == "cuts the answer":
            await answer.prepare(request)
            await answer.write(whole[: len(whole) // 2])
        assert request.transport is not None
        request.transport.close()
        return answer


@asynccontextmanager
async def running() -> AsyncIterator[Api]:
    api = Api()
    api.gate.set()
    app = web.Application()
    app.router.add_route("*", "/", api.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield api
    finally:
        api.gate.set()
        await runner.cleanup()


def report(number: int, **changes: Any) -> Item:
    """A report as the platform hands it out; another number is another message."""
    national = f"138{number:08d}"
    item = {
        "UserReceiveTime": 1_790_000_000 + number,
        "CountryCode": "86",
        "SubscriberNumber": national,
        "PhoneNumber": f"+86{national}",
        "SerialNo": f"5000:{number:028d}",
        "ReportStatus": "SUCCESS" if number % 5 else "FAIL",
        "Description": "DELIVRD" if number % 5 else "MK:0001",
        "SessionContext": "" if number % 2 else f"order-{number}",
    }
    return item | changes


def reply(number: int, **changes: Any) -> Item:
    national = f"139{number:08d}"
    item = {
        "ExtendCode": "",
        "CountryCode": "86",
        "SubscriberNumber": national,
        "PhoneNumber": f"+86{national}",
        "SignName": "示例",
        "ReplyContent": f"好的 {number}",
        "ReplyTime": 1_790_000_000 + number,
    }
    return item | changes


def pushed(item: Item) -> Item:
    """The same report as the platform would push it: other names, and a wall clock in UTC+8."""
    pushed_at = time.gmtime(item["UserReceiveTime"] + 8 * 3600)
    return {
        "user_receive_time": time.strftime("%Y-%m-%d %H:%M:%S", pushed_at),
        "nationcode": item["CountryCode"],
        "mobile": item["SubscriberNumber"],
        "report_status": item["ReportStatus"],
        "errmsg": item["Description"],
        "description": "a text that the pull has not",
        "sid": item["SerialNo"],
    } | ({"ext": item["SessionContext"]} if item.get("SessionContext") else {})


def pushed_reply(item: Item) -> Item:
    return {
        "extend": item["ExtendCode"],
        "mobile": item["SubscriberNumber"],
        "nationcode": item["CountryCode"],
        "sign": item["SignName"],
        "text": item["ReplyContent"],
        "time": item["ReplyTime"],
    }
