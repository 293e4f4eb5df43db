"""Is it well? As `/readyz` and the metrics tell it, without PostgreSQL."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from receiver.pages import samples
from receiver.pages.site import Site
from receiver.web.ops import Phase, readiness
from receiver.web.view import Health


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """`last_report_ages` are seconds by platform; these and the numbers are of the time since this service started."""

    phase: Phase
    ready: bool
    warnings: Sequence[str]
    health: Health
    last_report_ages: Mapping[str, float]
    answered: int
    stored: int
    spooled: int
    partitions_overdue: int
    reads_elsewhere: bool


async def state(site: Site) -> State:
    """As it is now."""
    health, found = await asyncio.gather(site.ops.view.health(), samples.samples(site.ops.view))
    ready, report = readiness(health, site.ops.phase)
    warnings = report["warnings"]
    return State(
        phase=site.ops.phase,
        ready=ready,
        warnings=warnings if isinstance(warnings, list) else [],
        health=health,
        last_report_ages=found.get(samples.LAST_REPORT, {}),
        answered=int(samples.total(found, samples.REQUESTS)),
        stored=int(samples.total(found, samples.REPORTS)),
        spooled=int(samples.total(found, samples.SPOOLED)),
        partitions_overdue=int(samples.total(found, samples.PARTITIONS_OVERDUE)),
        reads_elsewhere=site.settings.read_database_url is not None,
    )
