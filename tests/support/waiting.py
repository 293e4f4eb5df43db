"""Waiting for what happens by itself, with a deadline."""

import asyncio
from collections.abc import Awaitable, Callable

DEADLINE_S = 30.0


async def eventually(holds: Callable[[], bool | Awaitable[bool]], within_s: float = DEADLINE_S) -> None:
    """Return once `holds()` is true. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not (await answer if isinstance(answer := holds(), Awaitable) else answer):
            await asyncio.sleep(0.02)
