"""The ops listener: whether the process lives, whether it can keep a report now, and what Prometheus reads."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiohttp import web

from receiver.metrics import CONTENT_TYPE, Metrics
from receiver.store.keeper import Keeper
from receiver.store.partitions import Maintenance
from receiver.store.spoolfile import Depth

_FEW_DAYS = 2
"""Partitions for fewer days ahead are a warning (design, section 4)."""


@dataclass(slots=True, kw_only=True)
class Ops:
    """What the handlers of the ops listener ask. `stopping` ends readiness before anything else ends."""

    keeper: Keeper
    metrics: Metrics
    maintenance: Maintenance
    spool_depth: Callable[[], Depth]
    stopping: bool = field(default=False)


def add_routes(app: web.Application, ops: Ops) -> None:
    """`/healthz`, `/readyz`, `/metrics`."""

    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def readyz(_request: web.Request) -> web.Response:
        ready, report = _readiness(ops)
        return web.json_response(report, status=200 if ready else 503)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=ops.metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)


def _readiness(ops: Ops) -> tuple[bool, dict[str, object]]:
    depth = ops.spool_depth()
    database, spool = ops.keeper.database_takes, ops.keeper.spool_takes
    days_left = ops.maintenance.days_left
    warnings = []
    if not database:
        warnings.append("PostgreSQL does not take reports: they go to the spool")
    if not spool:
        warnings.append("the spool takes no reports")
    if days_left is not None and days_left < _FEW_DAYS:
        warnings.append(f"partitions are there for {days_left} days ahead: run `receiver maintain`")
    ready = (database or spool) and not ops.stopping
    return ready, {
        "status": "stopping" if ops.stopping else "ready" if ready else "not ready",
        "database": database,
        "spool": {
            "takes": spool,
            "callbacks": depth.callbacks,
            "oldest": depth.oldest and depth.oldest.isoformat(),
            "file_bytes": depth.file_bytes,
        },
        "partition_days_left": days_left,
        "warnings": warnings,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
