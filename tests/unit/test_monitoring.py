"""The alerts, the dashboard, the pages about them and the metrics of the code: what the one names, the other has."""

import asyncio
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from receiver.pull import wiring
from receiver.report import ProviderName, Status
from receiver.settings import Settings
from receiver.telemetry import metrics
from receiver.workers import supervisor
from receiver.workers.team import Team

ROOT = Path(__file__).parents[2]
RULES = (ROOT / "deploy/prometheus/receiver.rules.yml").read_text(encoding="utf-8")
RULE_TESTS = (ROOT / "deploy/prometheus/receiver.rules.test.yml").read_text(encoding="utf-8")
DASHBOARD = (ROOT / "deploy/grafana/receiver.json").read_text(encoding="utf-8")
RUNBOOK = (ROOT / "docs/operations.md").read_text(encoding="utf-8")

ALERTS = re.findall(r"^ +- alert: (\w+)$", RULES, re.MULTILINE)
OF_PROMETHEUS = {"job", "instance"}
"""Labels that a scrape adds."""


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    """The labels of every series that a service may show, by its name."""
    acme = ProviderName("acme")
    service = metrics.build("1.2.3")
    service.reports_stored(acme, Status.DELIVERED, None)
    service.report_lag(acme, 1.0)
    service.report_duplicate(acme)
    service.reply_stored(acme)
    service.submission_stored(acme, Status.ENROUTE)
    service.payload_rejected(acme, "item")
    service.request_done("acme", "report", 200, 0.1)
    service.flushed(1, 0.1)
    service.address_refused(acme)
    service.connection_ended("full")
    service.tls_certificate_expires_seconds.labels("rsa.pem").set(1)
    supervisor._counted(service, Team(Settings(_env_file=None), [], asyncio.Event()))
    wiring._counting(service)("acme/pull")("kept", 1)
    families = text_string_to_metric_families(service.render().decode())
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def series_in(text: str) -> set[str]:
    return set(re.findall(r"\breceiver_\w+", text))


def test_every_metric_that_is_asked_for_is_one_and_the_rules_are_tested_with_them(known: dict[str, set[str]]) -> None:
    assert series_in(RULES + RULE_TESTS + DASHBOARD) - known.keys() == set()
    given = re.findall(r"series: '(receiver_\w+)\{([^}]*)\}'", RULE_TESTS)
    assert series_in(RULES) == {name for name, _ in given}
    for name, labels in given:
        assert set(re.findall(r"(\w+)=", labels)) - OF_PROMETHEUS == known[name], name


def test_every_alert_is_explained_and_seen_to_fire_and_not_to_fire() -> None:
    assert ALERTS == re.findall(r"^### (Receiver\w+)$", RUNBOOK, re.MULTILINE) != []
    for alert in ALERTS:
        rule = next(part for part in re.split(r"\n +- alert: ", RULES) if part.startswith(f"{alert}\n"))
        assert re.search(r"severity: (critical|warning)\}", rule), alert
        assert re.search(r"summary: .+\n +description: .+\n", rule), alert
        assert f"runbook: docs/operations.md#{alert.lower()}\n" in rule
        assert re.search(rf"alertname: {alert}\}}", RULE_TESTS), alert
        assert re.search(rf"alertname: {alert}\n +exp_alerts:", RULE_TESTS), alert
