"""What a report costs: the table behind `make plan` and docs/scaling.md. The values are in measured.toml."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("measured.toml")


def _cost(unit: str, what: str) -> Any:
    return field(metadata={"unit": unit, "what": what})


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Each of one report, unless it says otherwise. What is "of a commit" is shared by all reports of a flush."""

    service_single_us: float = _cost("µs", "service's CPU: a callback of one report")
    service_batch_us: float = _cost("µs", "service's CPU: a report in a callback of fifty")
    service_flush_us: float = _cost("µs", "service's CPU: of a commit")
    service_spool_us: float = _cost("µs", "service's CPU: more for a callback that goes to the spool")
    service_drain_us: float = _cost("µs", "service's CPU: a spooled callback of one report, brought to PostgreSQL")
    service_mb: float = _cost("MB", "memory of a process of the service, 512 connections")
    database_flush_us: float = _cost("µs", "PostgreSQL's CPU: of a commit")
    database_first_us: float = _cost("µs", "PostgreSQL's CPU: a message's first report")
    database_second_us: float = _cost("µs", "PostgreSQL's CPU: a later report")
    database_duplicate_us: float = _cost("µs", "PostgreSQL's CPU: a report that is there already")
    database_other: float = _cost("share", "PostgreSQL's CPU outside of the writing backends, as a share of theirs")
    database_retention_us: float = _cost("µs", "PostgreSQL's CPU: a message that retention removes")
    standby_us: float = _cost("µs", "a standby's CPU: a report, replayed by its one process")
    commit_fsyncs: float = _cost("", "fsyncs of a commit")
    wal_flush_bytes: float = _cost("B", "WAL: of a commit")
    wal_first_bytes: float = _cost("B", "WAL: a message's first report")
    wal_second_bytes: float = _cost("B", "WAL: a later report")
    wal_duplicate_bytes: float = _cost("B", "WAL: a report that is there already")
    wal_page_bytes: float = _cost("B", "WAL: a page that changes for the first time after a checkpoint")
    disk_first_bytes: float = _cost("B", "disk: a message and its first report, with indexes")
    disk_second_bytes: float = _cost("B", "disk: a later report, with indexes")
    key_bytes: float = _cost("B", "disk: the entry in the messages' key, which is kept as long as the message")
    day_bytes: float = _cost("B", "disk: the entries in the day's own indexes")
    first_pages: float = _cost("", "pages at random that a message's first report changes, one of them in the key")
    second_pages: float = _cost("", "pages at random that a later report changes, in the day's indexes")
    http_in_single_bytes: float = _cost("B", "network: to the service, a callback of one report")
    http_in_batch_bytes: float = _cost("B", "network: to the service, a report in a callback of fifty")
    http_out_bytes: float = _cost("B", "network: an answer")
    sql_in_bytes: float = _cost("B", "network: to PostgreSQL, a report")
    sql_flush_bytes: float = _cost("B", "network: to PostgreSQL and back, of a commit")
    replication: float = _cost("share", "network: to a standby, as a share of the WAL")
    spool_bytes: float = _cost("B", "disk: a callback of one report in the spool")
    citus_coordinator_shard_us: float = _cost("µs", "Citus, the coordinator's CPU: of a commit, for each shard in it")
    citus_coordinator_us: float = _cost("µs", "Citus, the coordinator's CPU: a report")
    citus_worker_shard_us: float = _cost("µs", "Citus, the workers' CPU: of a commit, for each shard in it")
    citus_worker_us: float = _cost("µs", "Citus, the workers' CPU: a report")


NAMES: Final = tuple(one.name for one in fields(Costs))


def described(name: str) -> tuple[str, str]:
    """A cost's unit, and what it is."""
    known: dict[str, Field[Any]] = {one.name: one for one in fields(Costs)}
    said = known[name].metadata
    return said["unit"], said["what"]


def rows(found: Mapping[str, float]) -> list[tuple[str, str]]:
    """What was measured, as people read it."""
    return [(f"{described(name)[1]} ({name})", f"{value:.4g} {described(name)[0]}") for name, value in found.items()]


@dataclass(frozen=True, slots=True)
class Table:
    """`assumed` are the names of the costs that nobody has measured."""

    costs: Costs
    taken: str
    assumed: frozenset[str]

    def changed(self, given: Mapping[str, float]) -> "Table":
        """With other costs, which count as assumed."""
        return replace(self, costs=replace(self.costs, **given), assumed=self.assumed | given.keys())


def load(file: Path = FILE) -> Table:
    """The table. Raises TypeError where a cost is missing or not known."""
    read = tomllib.loads(file.read_text(encoding="utf-8"))
    return Table(Costs(**read["measured"], **read["assumed"]), read["taken"], frozenset(read["assumed"]))


def keep(found: Mapping[str, float], taken: str, file: Path = FILE) -> Table:
    """Write down what was measured, in three digits; what was not stays as it was."""
    table = load(file)
    parts: dict[str, list[str]] = {"measured": [], "assumed": []}
    for name in NAMES:
        value = found.get(name, getattr(table.costs, name))
        assumed = name in table.assumed and name not in found
        parts["assumed" if assumed else "measured"].append(f"{name} = {float(f'{value:.3g}'):g}")
    sections = [f"[{name}]\n" + "\n".join(lines) for name, lines in parts.items()]
    head = file.read_text(encoding="utf-8").partition("taken = ")[0]
    file.write_text(f"{head}taken = {json.dumps(taken)}\n\n" + "\n\n".join(sections) + "\n", encoding="utf-8")
    return load(file)
