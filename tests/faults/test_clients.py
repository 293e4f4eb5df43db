"""Clients that hang up at every stage of a request: what was read is stored, and nobody else notices."""

import asyncio
import socket
import struct
from urllib.parse import urlencode

from support import ledger as ledgers
from support.rig import Loaded

_RST_ON_CLOSE = struct.pack("ii", 1, 0)
STAGES = ("connected", "half the head", "the head", "half the body", "all", "all, and the answer's first byte")


def _request(message_id: str) -> tuple[bytes, bytes]:
    body = urlencode({"smsMsgId": message_id, "status": "DELIVRD", "sequence": 1, "total": 1, "source": 2}).encode()
    head = f"POST /callback/huawei/report HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\n".encode(), body


async def _hang_up(port: int, stage: str, message_id: str, *, reset: bool) -> None:
    head, body = _request(message_id)
    sent = {
        "connected": b"",
        "half the head": head[: len(head) // 2],
        "the head": head,
        "half the body": head + body[: len(body) // 2],
    }.get(stage, head + body)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    if sent:
        writer.write(sent)
        await writer.drain()
    if stage == STAGES[-1]:
        assert await reader.readexactly(1)
    if reset:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
    writer.close()


async def test_clients_that_hang_up_at_every_stage(loaded: Loaded) -> None:
    async with loaded() as rig:
        sent = {
            (stage, reset): [f"hangup-{number}-{'rst' if reset else 'fin'}-{n}" for n in range(20)]
            for number, stage in enumerate(STAGES)
            for reset in (False, True)
        }
        for prefix, mode in (("", "pass"), ("s", "blackhole")):
            with rig.phase(f"240 clients hang up, the network's mode is {mode}"):
                await rig.proxy.set(mode)
                await asyncio.gather(
                    *(
                        _hang_up(rig.service.port, stage, f"{prefix}{i}", reset=reset)
                        for (stage, reset), ids in sent.items()
                        for i in ids
                    )
                )
                await rig.load.answered(50)
        await rig.proxy.set("pass")
        await rig.load.stop()
        await rig.service.drained()
        rows = await ledgers.stored(rig.cluster.socket_url(rig.database))
        whole = {i for (stage, reset), ids in sent.items() if stage == "all" and not reset for i in ids}
        answered = {i for (stage, _), ids in sent.items() if stage == STAGES[-1] for i in ids}
        partial = {i for (stage, _), ids in sent.items() if not stage.startswith("all") for i in ids}
        for prefix in ("", "s"):
            assert {f"{prefix}{i}" for i in whole | answered} <= rows.keys()
            assert not {f"{prefix}{i}" for i in partial} & rows.keys()
        strangers = {i: row for i, row in rows.items() if "hangup" in i}
        assert all(row.reports == 1 for row in strangers.values())
        ledger = rig.load.ledger()
        verdict = ledgers.judge(ledger, {i: row for i, row in rows.items() if i not in strangers})
        for name, since, until in rig.phases:
            rig.say(ledgers.show(f"  {name}", ledger.between(since, until)))
        rig.say(ledgers.show("the others", ledger, verdict))
        assert verdict.good
        assert set(ledger.outcomes()) == {"ok"}
        assert not rig.service.noise(), rig.service.noise()
