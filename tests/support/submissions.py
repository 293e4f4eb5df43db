"""The fixtures of submissions: what a platform's send API answered, and what must come of it.

As those of callbacks (tests/fixtures/README.md), with `submissions` in place of `reports`: rows of `sms.submission` in
the order of the answer, each with the columns that matter to the case, and perhaps the message's `recipient_key`.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.service import Service

FOLDER = Path(__file__).parent.parent / "fixtures" / "submissions"


@dataclass(frozen=True)
class Answer:
    """`name` is `<provider>/<case>`."""

    name: str
    body: bytes
    expected: dict[str, Any]

    @property
    def provider(self) -> str:
        return self.name.partition("/")[0]

    @property
    def path(self) -> str:
        return f"/submissions/{self.provider}"


def answer(name: str) -> Answer:
    """The case of that name: `huawei/sample-code-inside-result`."""
    file = FOLDER / f"{name}.json"
    return Answer(name, file.with_suffix(".body").read_bytes(), json.loads(file.read_text(encoding="utf-8")))


def answers() -> list[Answer]:
    return [answer(f"{file.parent.name}/{file.stem}") for file in sorted(FOLDER.glob("*/*.json"))]


async def hand_over(service: Service, path: str, body: bytes | str, **query: str) -> tuple[int, dict[str, Any]]:
    """What the sending application does: the status and the JSON of our answer."""
    async with service.client.post(service.ops_url + path, data=body, params=query) as response:
        return response.status, await response.json()


def huawei(message_id: str, status: str = "000000", **changes: Any) -> bytes:
    """The answer about one message."""
    item = {
        "originTo": "+8615512345678",
        "createTime": "2026-11-20T09:15:04Z",
        "from": "csms100000001",
        "smsMsgId": message_id,
        "status": status,
        "countryId": "CN",
        "total": 1,
    }
    return json.dumps({"code": "000000", "description": "Success", "result": [item | changes]}).encode()
