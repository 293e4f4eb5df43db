"""What the handlers that the receiver is compared with share: the listener, with the receiver's own options."""

import asyncio
import signal

from aiohttp import web


async def serve(app: web.Application, port: int) -> None:
    """Serve on 127.0.0.1 until SIGTERM."""
    runner = web.AppRunner(app, access_log=None, auto_decompress=False, keepalive_timeout=75)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await runner.cleanup()
