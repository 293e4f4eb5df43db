"""Spools of workers that are gone are drained, told of and exported by the process that is there."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from support import service as services
from support.command import receiver
from support.reports import callback
from support.waiting import eventually

from receiver.settings import Settings
from receiver.store.spool_file import SpoolFile
from receiver.store.spool_folders import worker_folder

LEFT = {1: 3, 7: 2}
"""Callbacks by slot."""


def leave(data: Path) -> None:
    SpoolFile(data / "spool", 1 << 20).close()
    for slot, number in LEFT.items():
        file = SpoolFile(worker_folder(data, slot), 1 << 20)
        ids = [f"left-{slot}-{n}" for n in range(number)]
        file.append(callback(body=f"smsMsgId={one}&status=DELIVRD&sequence=1&total=1".encode()) for one in ids)
        file.close()


async def test_the_command_counts_and_exports_every_spool(tmp_path: Path) -> None:
    leave(tmp_path / "data")
    depth = json.loads((await receiver("spool", "--json", folder=tmp_path, data_dir=tmp_path / "data")).out)
    assert depth["callbacks"] == 5
    lines = (await receiver("spool", "export", folder=tmp_path, data_dir=tmp_path / "data")).out.splitlines()
    assert len({json.loads(line)["body"] for line in lines}) == 5


async def test_a_single_process_drains_the_spools_of_former_workers_and_removes_them(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings()
    leave(settings.data_dir)
    async with services.running(settings) as service:

        async def drained() -> bool:
            return await service.sql.fetchval("SELECT count(*) FROM sms.delivery_report") == 5

        await eventually(drained)
        await eventually(lambda: [path.name for path in (settings.data_dir / "spool").glob("worker-*")] == [])
        async with service.client.get(f"{service.ops_url}/readyz") as answer:
            assert (await answer.json())["spool"]["callbacks"] == 0
        assert not service.stop.is_set(), "the end of a drain is not the end of the service"


async def test_the_spool_of_a_receiver_that_never_comes_back_is_drained_by_another_that_runs(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    """As docs/operations.md says: its folder, in one step, among those of former workers."""
    dead = tmp_path / "dead" / "spool"
    file = SpoolFile(dead, 1 << 20)
    file.append(callback(body=f"smsMsgId=dead-{n}&status=DELIVRD&sequence=1&total=1".encode()) for n in range(4))
    settings = make_settings()
    async with services.running(settings) as service:
        mine = settings.data_dir / "spool"
        shutil.copytree(dead, mine / "incoming")  # it was not closed: what is in its journal counts
        (mine / "incoming").rename(mine / "worker-900")

        async def drained() -> bool:
            return await service.sql.fetchval("SELECT count(*) FROM sms.delivery_report") == 4

        await eventually(drained)
        await eventually(lambda: not (mine / "worker-900").exists())
    file.close()
