"""One service for all tests of a file: for stories that only add to what is stored."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from receiver.settings import Settings
from support import service as services
from support.databases import migrated_copy
from support.service import Service


@asynccontextmanager
async def shared_service(cluster: str, template: str, **changes: Any) -> AsyncIterator[Service]:
    """A service on a database of its own, which goes when the block ends."""
    with tempfile.TemporaryDirectory(prefix="receiver-shared-") as folder:
        async with migrated_copy(cluster, template) as url:
            given = {
                "database_url": url,
                "data_dir": Path(folder),
                "host": "127.0.0.1",
                "port": 0,
                "ops_port": 0,
                "drain_delay_s": 0.0,
                # A slow machine must not turn a story about payloads into one about the spool.
                "database_timeout_s": 20.0,
                "answer_deadline_s": 30.0,
            }
            async with services.running(Settings(_env_file=None, **(given | changes))) as service:
                yield service
