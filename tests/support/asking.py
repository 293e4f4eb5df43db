"""One report to a running service, and one of its metrics."""

import aiohttp

from support.process import ServiceProcess


async def send(service: ServiceProcess, message_id: str) -> None:
    """A report of Huawei's, which has to be answered as good."""
    form = {"smsMsgId": message_id, "status": "DELIVRD", "sequence": "1", "total": "1"}
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{service.url}/callback/huawei/report", data=form) as answer,
    ):
        assert answer.status == 200


async def metric(service: ServiceProcess, name: str) -> float:
    """The value of a metric without labels."""
    async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{service.ops_port}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(f"{name} ")))
