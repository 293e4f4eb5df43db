"""A full spool is told of, and not once for each callback that it has no room for."""

from pathlib import Path

import pytest
from support.capture import captured_log
from support.reports import callback

from receiver.store.spool import Spool
from receiver.store.spool_errors import SpoolFull


async def test_what_finds_the_spool_full_is_a_few_lines(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 64 * 1024)
    with captured_log() as log:
        for _ in range(100):
            with pytest.raises(SpoolFull):
                await spool.put(callback(body=b"x" * 100_000))
        await spool.close()
    assert 0 < len(log.events("spool.full")) < 100
