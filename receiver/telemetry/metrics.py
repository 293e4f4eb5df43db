"""Prometheus metrics of one service, in a registry of its own (design, section 6).

Names begin with `receiver_` and end in their unit. Label values come from enums, route names and status numbers, never
from a payload; should a bug let others through, `LabelCache` bounds their number.
"""

import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from receiver.report import ProviderName, Reason, Status
from receiver.telemetry.counts import Count, Counters, Histograms, LabelCache, Observations

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

RejectedKind = Literal["payload", "item", "signature"]
"""A whole body, one item of a batch, or a push with a wrong signature."""

Ended = Literal["slow_head", "large_head", "not_read", "gave_way", "full", "full_for_address"]
"""Causes for which we end a connection: a head that is too slow or too large, an answer that is not read, eviction in
favour of a new one; or a new one is refused, because none can be evicted or its address has too many."""

BreakerState = Literal["closed", "half_open", "open"]
"""`open`: PostgreSQL does not answer and reports go to the spool."""

NO_REASON: Final = "none"

_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
_LAG_SECONDS: Final = (1, 5, 15, 60, 300, 900, 3_600, 14_400, 43_200, 86_400, 259_200)
_REPORTS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)


class LastReport(Collector):
    """Seconds since each provider's last report; a provider that never sent one has no sample."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}

    def seen(self, provider: ProviderName, at: float | None = None) -> None:
        """Note a report at `at`, Unix seconds, default now; an earlier time than the known one changes nothing."""
        at = time.time() if at is None else at
        if at > self._at.get(provider, 0.0):
            self._at[provider] = at

    def collect(self) -> Iterable[GaugeMetricFamily]:
        help_text = "Seconds since the last report of a provider was stored."
        family = GaugeMetricFamily("receiver_last_report_age_seconds", help_text, labels=["provider"])
        now = time.time()
        for provider, at in self._at.copy().items():
            family.add_metric([provider], max(0.0, now - at))
        yield family


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Made by `build`. A gauge with a value that is read at each scrape gets a function (`set_from`)."""

    registry: CollectorRegistry
    reports: LabelCache[Count]
    lag_seconds: LabelCache[Observations]
    duplicates: LabelCache[Count]
    replies: LabelCache[Count]
    submissions: LabelCache[Count]
    rejected: LabelCache[Count]
    rejected_dropped: LabelCache[Count]
    requests: LabelCache[Count]
    request_seconds: LabelCache[Observations]
    requests_in_flight: Gauge
    malformed_requests: Counter
    refused_addresses: LabelCache[Count]
    connections: Gauge
    connections_ended: LabelCache[Count]
    commit_seconds: Histogram
    flush_reports: Histogram
    queue_reports: Gauge
    spool_payloads: Gauge
    spool_bytes: Gauge
    spool_max_bytes: Gauge
    spool_oldest_age_seconds: Gauge
    spool_quarantined: Gauge
    spool_writes: Counter
    spool_drained: Counter
    breaker: Enum
    stale_primaries: Gauge
    sync_replica: Gauge
    partitions_left_days: Gauge
    partitions_overdue: Gauge
    tls_certificate_expires_seconds: Gauge
    last_report: LastReport = field(default_factory=LastReport)

    def reports_stored(self, provider: ProviderName, status: Status, reason: Reason | None, number: int = 1) -> None:
        """Count new reports, and note the time for `last_report`."""
        self.reports[provider, status, reason or NO_REASON].value += number
        self.last_report.seen(provider)

    def report_lag(self, provider: ProviderName, seconds: float) -> None:
        """Seconds from the event to its report; negative, as 0, where a platform's clock is ahead of ours."""
        self.lag_seconds[provider,].observe(max(seconds, 0.0))

    def report_duplicate(self, provider: ProviderName) -> None:
        """Count a report that was stored before, and note the time for `last_report`."""
        self.duplicates[provider,].value += 1
        self.last_report.seen(provider)

    def reply_stored(self, provider: ProviderName) -> None:
        self.replies[provider,].value += 1

    def submission_stored(self, provider: ProviderName, status: Status) -> None:
        self.submissions[provider, status].value += 1

    def payload_rejected(self, provider: ProviderName, kind: RejectedKind) -> None:
        self.rejected[provider, kind].value += 1

    def request_done(self, provider: str, endpoint: str, http_status: int, seconds: float) -> None:
        """`provider` and `endpoint` of the matched route; empty strings if none matched."""
        self.requests[provider, endpoint, str(http_status)].value += 1
        self.request_seconds[endpoint,].observe(seconds)

    def address_refused(self, provider: ProviderName) -> None:
        self.refused_addresses[provider,].value += 1

    def connection_ended(self, cause: Ended) -> None:
        self.connections_ended[cause,].value += 1

    def flushed(self, reports: int, seconds: float) -> None:
        """One commit: its number of reports, and its duration."""
        self.flush_reports.observe(reports)
        self.commit_seconds.observe(seconds)

    def breaker_is(self, state: BreakerState) -> None:
        self.breaker.state(state)

    def render(self) -> bytes:
        """The body of `/metrics`, of `CONTENT_TYPE`."""
        return generate_latest(self.registry)


def set_from(gauge: Gauge, read: Callable[[], float]) -> None:
    """Let the gauge call `read` at each scrape; it must be quick and must not raise."""
    gauge.set_function(read)


def build(version: str) -> Metrics:
    """A set of metrics, all at zero, in a new registry."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # one unused series for each counter
    registry = CollectorRegistry()
    ProcessCollector(namespace="receiver", registry=registry)
    Gauge("receiver_up", "1 while the service runs.", registry=registry).set(1)
    info = Info("receiver_build", "Which version runs, and on what.", registry=registry)
    info.info({"version": version, "python": platform.python_version()})

    def counter(name: str, text: str) -> Counter:
        return Counter(f"receiver_{name}", text, registry=registry)

    def counters(name: str, text: str, *labels: str) -> LabelCache[Count]:
        several = Counters(f"receiver_{name}", text, labels)
        registry.register(several)
        return several.children

    def gauge(name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"receiver_{name}", text, labels, registry=registry)

    def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"receiver_{name}", text, buckets=buckets, registry=registry)

    def histograms(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> LabelCache[Observations]:
        several = Histograms(f"receiver_{name}", text, buckets, labels)
        registry.register(several)
        return several.children

    request_seconds = histograms(
        "http_request_duration_seconds", "From the request's head to its answer.", _SECONDS, "endpoint"
    )
    lag_seconds = histograms(
        "report_lag_seconds", "From the event, by the platform's clock, to its report.", _LAG_SECONDS, "provider"
    )
    metrics = Metrics(
        registry=registry,
        reports=counters("reports", "Delivery reports stored, each once.", "provider", "status", "reason"),
        lag_seconds=lag_seconds,
        duplicates=counters("duplicate_reports", "Reports that had been stored before.", "provider"),
        replies=counters("replies", "Mobile-originated messages stored.", "provider"),
        submissions=counters("submissions", "Submissions stored.", "provider", "status"),
        rejected=counters("rejected_payloads", "Kept because not understood.", "provider", "kind"),
        rejected_dropped=counters("rejected_payloads_dropped", "Rejected payloads dropped by their bounds.", "reason"),
        requests=counters("http_requests", "Callbacks answered.", "provider", "endpoint", "status"),
        request_seconds=request_seconds,
        requests_in_flight=gauge("requests_in_flight", "Callbacks whose bodies came, and that are worked on."),
        malformed_requests=counter("malformed_requests", "What came to a listener and was no HTTP."),
        refused_addresses=counters("refused_addresses", "Requests from addresses that may not call.", "provider"),
        connections=gauge("connections", "Open connections of the callback listener."),
        connections_ended=counters("connections_ended", "Connections that were ended by us, and why.", "cause"),
        commit_seconds=histogram("commit_duration_seconds", "One flush to PostgreSQL.", _SECONDS),
        flush_reports=histogram("flush_reports", "Reports in one flush to PostgreSQL.", _REPORTS),
        queue_reports=gauge("queue_reports", "Reports waiting for a flush."),
        spool_payloads=gauge("spool_payloads", "Requests that wait in the spool for PostgreSQL."),
        spool_bytes=gauge("spool_bytes", "Size of the spool's files."),
        spool_max_bytes=gauge("spool_max_bytes", "Size at which the spool is full."),
        spool_oldest_age_seconds=gauge("spool_oldest_age_seconds", "Age of the spool's oldest request; 0: empty."),
        spool_quarantined=gauge("spool_quarantined", "Spooled requests that PostgreSQL refuses to take in time."),
        spool_writes=counter("spool_writes", "Requests written to the spool."),
        spool_drained=counter("spool_drained", "Requests brought from the spool to PostgreSQL."),
        breaker=Enum(
            "receiver_breaker_state",
            "Whether reports go to PostgreSQL (closed) or to the spool (open).",
            states=["closed", "half_open", "open"],
            registry=registry,
        ),
        stale_primaries=gauge("stale_primaries", "Old primaries that still take writes, as far as they are seen."),
        sync_replica=gauge("sync_replica", "1 while a commit is on a synchronous standby too; NaN: not known."),
        partitions_left_days=gauge("partitions_left_days", "Days ahead for which partitions exist."),
        partitions_overdue=gauge("partitions_overdue", "Partitions that the retention should have dropped."),
        tls_certificate_expires_seconds=gauge(
            "tls_certificate_expires_seconds", "When the certificate expires, in Unix seconds.", "certificate"
        ),
    )
    for reason in ("age", "size"):
        metrics.rejected_dropped[reason,].value += 0  # present from the start: an alert needs an earlier sample
    registry.register(metrics.last_report)
    return metrics
