"""A few of the service's own metrics, read as a scraper would: with workers they are of all processes together."""

from collections.abc import Mapping
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from receiver.web.view import View

REQUESTS: Final = "receiver_http_requests_total"
REPORTS: Final = "receiver_reports_total"
LAST_REPORT: Final = "receiver_last_report_age_seconds"
DRAINED: Final = "receiver_spool_drained_total"
SPOOLED: Final = "receiver_spool_writes_total"
MAX_BYTES: Final = "receiver_spool_max_bytes"
QUARANTINED: Final = "receiver_spool_quarantined"
QUEUE: Final = "receiver_queue_reports"
PARTITIONS_OVERDUE: Final = "receiver_partitions_overdue"

_READ: Final = tuple(
    name.encode()
    for name in (
        REQUESTS,
        REPORTS,
        LAST_REPORT,
        DRAINED,
        SPOOLED,
        MAX_BYTES,
        QUARANTINED,
        QUEUE,
        PARTITIONS_OVERDUE,
    )
)

Samples = Mapping[str, Mapping[str, float]]
"""Values by metric and by platform, summed over other labels; the platform is empty for metrics without one."""


async def samples(view: View) -> Samples:
    """Those above, as they are now."""
    lines = [line for line in (await view.metrics()).splitlines() if line.startswith(_READ)]
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(b"\n".join(lines).decode() + "\n"):
        for sample in family.samples:
            values, provider = found.setdefault(sample.name, {}), sample.labels.get("provider", "")
            values[provider] = values.get(provider, 0.0) + sample.value
    return found


def total(found: Samples, name: str) -> float:
    """The sum of a metric; 0 if there is none."""
    return sum(found.get(name, {}).values())
