"""What deploy/prometheus gives an operator, by Prometheus's own checker: configuration, rules and their tests."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy" / "prometheus"
TOKEN_FILE = "receiver-ops-token"

Check = Callable[..., str]


@pytest.fixture
def check(program: Callable[..., list[str]], tmp_path: Path) -> Check:
    """Run `promtool` in a copy of deploy/prometheus; what it says. AssertionError where it finds a fault."""
    promtool = program("promtool", "prometheus")
    folder = shutil.copytree(DEPLOY, tmp_path / "prometheus")

    def run(*arguments: str) -> str:
        ended = subprocess.run(
            [*promtool, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
        said = ended.stdout + ended.stderr
        assert ended.returncode == 0, said
        return said

    return run


def test_the_rules_are_rules(check: Check) -> None:
    assert "SUCCESS" in check("check", "rules", "receiver.rules.yml")


def test_the_configuration_is_one_and_finds_its_rules(check: Check) -> None:
    said = check("check", "config", "prometheus.yml")
    assert "1 rule files found" in said


def test_with_the_ops_token_too(check: Check, tmp_path: Path) -> None:
    config = tmp_path / "prometheus" / "prometheus.yml"
    text = config.read_text()
    for line in ("authorization:", f"  credentials_file: {TOKEN_FILE}"):
        assert f"# {line}" in text
        text = text.replace(f"# {line}", line)
    config.write_text(text)
    with pytest.raises(AssertionError, match=TOKEN_FILE):
        check("check", "config", "prometheus.yml")
    (config.parent / TOKEN_FILE).write_text("a-secret-of-sixteen-characters")
    check("check", "config", "prometheus.yml")


def test_each_alert_fires_on_what_it_is_for_and_on_nothing_else(check: Check) -> None:
    assert "SUCCESS" in check("test", "rules", "receiver.rules.test.yml")


def test_what_the_dashboard_asks_is_promql(check: Check, tmp_path: Path) -> None:
    panels = json.loads((DEPLOY.parent / "grafana" / "receiver.json").read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel.get("targets", ()) if "expr" in target]
    for variable, value in {"$__rate_interval": "1m", "$job": "receiver", "$instance": ".*"}.items():
        asked = [expression.replace(variable, value) for expression in asked]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(asked)]
    written = tmp_path / "prometheus" / "dashboard.json"  # JSON is YAML
    written.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(asked)} rules found" in check("check", "rules", written.name)
