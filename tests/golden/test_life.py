"""What a service leaves for others to read while it lives: its data folder, its log's events, its metrics."""

import ast
import json
import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from support.command import CHECKOUT
from support.golden import check

EVENT = re.compile(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*")
NO_EVENTS = {
    "aiohttp.access": "a logger",
    "aiohttp.server": "a logger",
    "alembic.runtime.plugins": "a logger",
    "receiver.workers": "a module",
    "receiver.pages": "a module",
    "spool.lock": "a file",
    "workers.lock": "a file",
    "spool.sqlite": "a file",
    "postgresql.log": "a file",
    "receiver.lock": "a file",
    "postmaster.pid": "a file",
}
LINES = {
    *(f"{what}.{how}" for what in ("report", "reply", "submission") for how in ("stored", "duplicate")),
    *(f"payload.{what}" for what in ("rejected", "wrong_url")),
    *(f"pull.{what}" for what in ("started", "resumed", "interrupted", "kept")),
    *("address.refused", "tls.loaded", "ops.listening", "callback.listening", "service.stopping", "service.stopped"),
    *("database.started", "database.stopped"),
}
"""Those that come whatever the machine is busy with."""


def literals(file: Path) -> set[str]:
    """Texts that stand alone in the code, which docstrings and sentences do not look like."""
    nodes = ast.walk(ast.parse(file.read_bytes()))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_names_of_events() -> None:
    found = set().union(*(literals(file) for file in (CHECKOUT / "receiver").rglob("*.py")))
    others = {text for text in found if text.startswith("sms.") or text.endswith((".html", ".json", ".csv"))}
    events = {text for text in found - others if EVENT.fullmatch(text)}
    check("events.txt", "\n".join(sorted(events - set(NO_EVENTS))))


def test_keys_of_events(life) -> None:
    lines = [json.loads(line) for line in life.log.splitlines()]
    told = {f"{line['event']} ({line['level']}): {', '.join(line)}" for line in lines if line["event"] in LINES}
    check("events-keys.txt", "\n".join(sorted(told)))


def test_a_pull_journal_of_the_first_version_is_resumed(life) -> None:
    lines = [json.loads(line) for line in life.log.splitlines()]
    (resumed,) = [line for line in lines if line["event"] == "pull.resumed"]
    (stored,) = [line for line in lines if line["event"] == "report.stored" and line["message_id"] == "golden-8"]
    assert resumed["request_id"] == stored["request_id"] == "0123456789abcdef"


def test_metrics(life) -> None:
    told = []
    for family in text_string_to_metric_families(life.metrics):
        labels = {name for sample in family.samples for name in sample.labels} - {"le"}
        told.append(f"{family.name} {family.type} {{{', '.join(sorted(labels))}}}")
    check("metrics.txt", "\n".join(sorted(told)))


def test_data_folder(life) -> None:
    parts = {"made by receiver migrate": life.made, "serving and pulling": life.running, "stopped": life.stopped}
    check("data-folder.txt", "\n\n".join(f"{name}\n{tree}" for name, tree in parts.items()))
