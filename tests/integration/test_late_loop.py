"""An event loop that is late is no fault of the callbacks: they are kept, and answered as good."""

import asyncio
import time

from support.reports import job, report

from receiver.store.durable import DurableStore
from receiver.store.job import KeptIn
from receiver.store.spool import Spool
from receiver.store.writer import Writer
from receiver.telemetry.metrics import build


async def test_a_late_event_loop_turns_nobody_away_while_the_spool_has_room(database, tmp_path):
    """With everything healthy but the loop, the deadline was over before anything had been tried: 503."""
    metrics = build("test")
    spool = Spool(tmp_path / "spool", 1 << 20)
    writer = Writer(database, metrics, timeout_s=20.0, max_queue=100, max_flush=100)  # it never runs
    keeper = DurableStore(writer, spool, metrics, deadline_s=0.4)
    loop = asyncio.get_running_loop()
    for when in (0.0, 0.29, 0.31, 0.39):
        loop.call_later(when, time.sleep, 0.6)
    assert (await keeper.keep(job(report()))).kept_in is KeptIn.SPOOL
    await spool.close()
