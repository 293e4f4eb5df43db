"""Short-lived processes whose output is the result."""

import asyncio
import os
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.servers import CODE


@asynccontextmanager
async def started(*command: str) -> AsyncIterator[Process]:
    """A process with a piped output, which has ended when the block has."""
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, "PYTHONPATH": CODE}, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def output_of(*command: str) -> str:
    """What the command prints. Raises RuntimeError with what it says where it fails."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "PYTHONPATH": CODE},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {errors.decode(errors='replace')}")
    return output.decode()
