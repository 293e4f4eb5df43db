"""The ops listener: liveness, readiness (can it keep a report now?), metrics, and the spool's contents."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from aiohttp import web

from receiver.server.protocol import SERVER
from receiver.telemetry.metrics import CONTENT_TYPE
from receiver.web.view import Health, View

Phase = Literal["starting", "serving", "stopping"]

_FEW_DAYS: Final = 2
"""Partitions for fewer days ahead are a warning (design, section 4)."""


@dataclass(slots=True, kw_only=True)
class Ops:
    """Dependencies of the ops listener's handlers, and the service's phase.

    Readiness requires the phase `serving`: the ops listener opens before the callback listener, and closes after it.
    """

    view: View
    phase: Phase = "starting"


def add_routes(app: web.Application, ops: Ops) -> None:
    """`/healthz`, `/readyz`, `/metrics`; `/spool` and `/spool/export` for the command `receiver spool`."""

    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def readyz(_request: web.Request) -> web.Response:
        ready, report = readiness(await ops.view.health(), ops.phase)
        return web.json_response(report, status=200 if ready else 503)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=await ops.view.metrics(), headers={"Content-Type": CONTENT_TYPE})

    async def spool(_request: web.Request) -> web.Response:
        return web.json_response((await ops.view.health()).depth.as_dict())

    async def spool_export(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Server": SERVER})
        await response.prepare(request)
        async for line in ops.view.spooled():
            await response.write(line)
        return response

    app.router.add_get("/spool", spool)
    app.router.add_get("/spool/export", spool_export)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)


def readiness(health: Health, phase: Phase) -> tuple[bool, dict[str, object]]:
    """Whether it can keep a report now, and the answer of `/readyz`."""
    database, spool, days_left, workers = health.database, health.spool, health.days_left, health.workers
    warnings = []
    if workers and workers.serving < workers.wanted:
        warnings.append(f"{workers.serving} of {workers.wanted} workers serve")
    if not database:
        warnings.append("PostgreSQL does not take reports: they go to the spool")
    if not spool:
        warnings.append("the spool takes no reports")
    if health.stale_primaries:
        warnings.append("an old primary of PostgreSQL still takes writes: shut it down")
    if days_left is not None and days_left < _FEW_DAYS:
        warnings.append(f"partitions are there for {days_left} days ahead: run `receiver maintain`")
    ready = (database or spool) and phase == "serving" and (workers is None or workers.serving > 0)
    return ready, {
        "status": "ready" if ready else "not ready" if phase == "serving" else phase,
        "database": database,
        "spool": {"takes": spool, **health.depth.as_dict()},
        "sync_replica": health.sync_replica,
        "partition_days_left": days_left,
        **({"workers": workers._asdict()} if workers else {}),
        "warnings": warnings,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
