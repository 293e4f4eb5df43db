"""What Prometheus sees of a service."""

import time

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from receiver.report import ProviderName, Reason, Status
from receiver.telemetry import counts, metrics

ACME = ProviderName("acme")


@pytest.fixture
def service():
    return metrics.build("1.2.3")


def value(service, name, **labels):
    return service.registry.get_sample_value(name, labels)


def test_a_report_is_counted_by_provider_status_and_reason(service):
    service.reports_stored(ACME, Status.UNDELIVERABLE, Reason.UNREACHABLE)
    service.reports_stored(ACME, Status.DELIVERED, None)
    service.report_duplicate(ACME)
    for status, reason in (("undeliverable", "unreachable"), ("delivered", "none")):
        assert value(service, "receiver_reports_total", provider="acme", status=status, reason=reason) == 1
    assert value(service, "receiver_duplicate_reports_total", provider="acme") == 1


def test_a_clock_that_is_ahead_of_ours_counts_as_no_lag(service):
    for lag_s in (70.0, -3.0):
        service.report_lag(ACME, lag_s)
    assert value(service, "receiver_report_lag_seconds_count", provider="acme") == 2
    assert value(service, "receiver_report_lag_seconds_sum", provider="acme") == 70
    assert value(service, "receiver_report_lag_seconds_bucket", provider="acme", le="60.0") == 1


def test_everything_else_is_counted_by_its_labels(service):
    service.request_done("acme", "report", 200, 0.003)
    service.reply_stored(ACME)
    service.payload_rejected(ACME, "item")
    service.address_refused(ACME)
    service.connection_ended("slow_head")
    service.malformed_requests.inc()
    service.flushed(50, 0.004)
    assert value(service, "receiver_http_requests_total", provider="acme", endpoint="report", status="200") == 1
    assert value(service, "receiver_http_request_duration_seconds_count", endpoint="report") == 1
    assert value(service, "receiver_replies_total", provider="acme") == 1
    assert value(service, "receiver_rejected_payloads_total", provider="acme", kind="item") == 1
    assert value(service, "receiver_refused_addresses_total", provider="acme") == 1
    assert value(service, "receiver_connections_ended_total", cause="slow_head") == 1
    assert value(service, "receiver_malformed_requests_total") == 1
    assert value(service, "receiver_flush_reports_sum") == 50
    assert value(service, "receiver_commit_duration_seconds_bucket", le="0.005") == 1
    assert value(metrics.build("1.2.3"), "receiver_replies_total", provider="acme") is None, "of another service"


def test_the_age_of_the_last_report_grows_and_is_absent_before_the_first(service):
    name = "receiver_last_report_age_seconds"
    assert value(service, name, provider="acme") is None
    service.last_report.seen(ACME, time.time() - 60)
    assert value(service, name, provider="acme") == pytest.approx(60, abs=2)
    service.reports_stored(ACME, Status.DELIVERED, None)
    service.last_report.seen(ACME, time.time() - 60)
    assert value(service, name, provider="acme") == pytest.approx(0, abs=2)


def test_gauges_follow_their_owners(service):
    waiting = [1, 2, 3]
    metrics.set_from(service.queue_reports, lambda: len(waiting))
    service.spool_bytes.set(4096)
    service.breaker_is("open")
    assert value(service, "receiver_queue_reports") == 3
    assert value(service, "receiver_spool_bytes") == 4096
    assert value(service, "receiver_breaker_state", receiver_breaker_state="open") == 1
    assert value(service, "receiver_breaker_state", receiver_breaker_state="closed") == 0


def test_labels_stay_bounded_whatever_comes(service):
    for number in range(counts.MAX_CHILDREN + 500):
        service.request_done("acme", f"/{number}", 404, 0.001)
    series = [line for line in service.render().splitlines() if line.startswith(b"receiver_http_requests_total{")]
    assert len(series) == counts.MAX_CHILDREN + 1
    assert value(service, "receiver_http_requests_total", provider="other", endpoint="other", status="other") == 500


def test_counters_and_histograms_of_our_own_are_written_as_the_librarys():
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    counted, observed = (
        counts.Counters("acme", "Counted.", ("a", "b")),
        counts.Histograms("s", "S.", (0.5, 1, 2), ("a",)),
    )
    counter = Counter("acme", "Counted.", ("a", "b"), registry=theirs)
    histogram = Histogram("s", "S.", ("a",), buckets=(0.5, 1, 2), registry=theirs)
    for collector in (counted, observed):
        ours.register(collector)
    assert generate_latest(ours) == generate_latest(theirs)
    for seconds in (0, 0.5, 0.51, 1, 1.5, 2, 7.25):
        observed.children['"x"',].observe(seconds)
        histogram.labels('"x"').observe(seconds)
        counted.children["y", Status.EXPIRED].value += seconds
        counter.labels("y", Status.EXPIRED).inc(seconds)
    assert generate_latest(ours) == generate_latest(theirs)


def test_the_text_is_prometheus_and_every_name_is_ours(service):
    service.reports_stored(ACME, Status.DELIVERED, None)
    families = list(text_string_to_metric_families(service.render().decode()))
    assert {family.name.partition("_")[0] for family in families} == {"receiver"}
    assert not [family.name for family in families if family.name.endswith("_created")]
    assert value(service, "receiver_up") == 1
    assert b"receiver_build_info{" in service.render()
    assert b'version="1.2.3"' in service.render()
    assert metrics.CONTENT_TYPE.startswith("text/plain")
