"""The two ports: free, or of the receiver that runs on this data folder, which then tells of itself."""

import errno
from collections.abc import AsyncIterator
from typing import Final

import aiohttp

from receiver.addresses import url_of
from receiver.checks.finding import Finding
from receiver.server.bind import BindAddress, ListenError, bound
from receiver.settings import Settings, variable
from receiver.store.spool_folders import is_locked, main_folder

PORTS, SERVICE = "ports", "running receiver"

_TIMEOUT: Final = aiohttp.ClientTimeout(total=3)


async def ports(settings: Settings) -> list[Finding]:
    """Bind each port and let it go, which nobody notices who does not listen at that moment."""
    runs = is_locked(main_folder(settings.data_dir))
    return [
        await _port(BindAddress(settings.host, settings.port), runs=runs, reuse_port=settings.reuse_port),
        await _port(BindAddress(settings.ops_host, settings.ops_port, "ops_host"), runs=runs, reuse_port=False),
    ]


async def _port(where: BindAddress, *, runs: bool, reuse_port: bool) -> Finding:
    told = f"{where.host_variable}={where.host}, {where.port_variable}={where.port}"
    if where.port == 0:
        return Finding(PORTS, "ok", f"{told}: each start takes a free one")
    try:
        async with bound(where, reuse_port=reuse_port):
            return Finding(PORTS, "ok", f"{told}: free")
    except ListenError as error:
        if runs and error.errno == errno.EADDRINUSE:
            return Finding(PORTS, "ok", f"{told}: in use, and a receiver runs on this data folder")
        return Finding(PORTS, "error", str(error))


async def service(settings: Settings) -> list[Finding]:
    """What the running receiver says of itself; nothing where none runs."""
    if not is_locked(main_folder(settings.data_dir)):
        return []
    return [one async for one in _told(settings)]


async def _told(settings: Settings) -> AsyncIterator[Finding]:
    url = f"{url_of(settings.ops_host, settings.ops_port)}/readyz"
    try:
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as client, client.get(url) as response:
            report = await response.json()
            status, warnings = str(report["status"]), list(report["warnings"])
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError):
        told = f"a receiver runs on {settings.data_dir}, and does not answer at {url}"
        advice = f"set {variable('ops_host')} and {variable('ops_port')} as it has them"
        yield Finding(SERVICE, "warning", told, advice)
        return
    yield Finding(SERVICE, "ok" if response.ok else "error", f"it says: {status}")
    for warning in warnings:
        yield Finding(SERVICE, "warning", f"it says: {warning}")
