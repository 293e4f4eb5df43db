"""What a PostgreSQL machine is asked for at the highest load of a day, and which one can do it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from plan import needs
from plan.assumptions import Assumptions
from plan.costs import Costs
from plan.machines import CITUS_NODE, MACHINES, Machine

CPU: Final = "PostgreSQL's CPU"
CONNECTION: Final = "a writer's connection"
WAL: Final = "WAL"
PAGES: Final = "random pages"
NETWORK: Final = "network"
REPLAY: Final = "a standby's replay"
DISK: Final = "disk"
"""Resources of a machine."""

MOST_NODES: Final = 1_024
"""Beyond, each commit has to do with so many nodes that more of them help no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What all of it is computed from."""

    costs: Costs
    assumed: Assumptions
    a_day: float
    peak_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What is needed of one of a machine's resources, and what it has. `free` is the share that should stay unused."""

    name: str
    unit: str
    needed: float
    has: float
    free: float

    @property
    def used(self) -> float:
        """Share in use."""
        return self.needed / self.has

    @property
    def full(self) -> float:
        """Share in use of what may be used: it fits up to 1."""
        return self.used / (1 - self.free)


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """`nodes` of Citus, or one PostgreSQL; the resources are one node's. `writers` are processes of the receivers."""

    machine: Machine
    nodes: int
    coordinators: int
    writers: int
    flushed: needs.Flushes
    data: needs.Data
    wal_s: float
    wal_tb: float
    read: float
    resources: Sequence[Resource]

    @property
    def fits(self) -> bool:
        """Whether no resource is asked for more than it may be."""
        return all(one.full <= 1 + 1e-9 for one in self.resources)


def chosen(traffic: Traffic) -> Database:
    """The smallest machine that can do it; or as few nodes of Citus as can."""
    found = next((one for machine in MACHINES if (one := database(traffic, machine)).fits), None)
    return found or citus(traffic)


def citus(traffic: Traffic) -> Database:
    """As few nodes as can do it, at least two."""
    least, most = 1, 2
    while not database(traffic, CITUS_NODE, most).fits and most < MOST_NODES:
        least, most = most, most * 2
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if database(traffic, CITUS_NODE, middle).fits else (middle, most)
    return database(traffic, CITUS_NODE, most)


def database(traffic: Traffic, machine: Machine, nodes: int = 1) -> Database:
    """What it would be asked for; whether it can do it is another question."""
    costs, assumed, peak_s = traffic.costs, traffic.assumed, traffic.peak_s
    data = needs.kept(costs, assumed, traffic.a_day, nodes)
    read = needs.missed(costs, assumed, data, machine.memory_gb).all
    each_s = _written_s(traffic, read, nodes)
    writers = _writers(traffic, each_s, _commit_s(traffic, nodes))
    flushed = needs.flushes(peak_s, writers, _commit_s(traffic, nodes), each_s)
    wal = needs.wal(costs, assumed, peak_s / nodes, _commits_s(flushed, nodes), data)
    return Database(
        machine=machine,
        nodes=nodes,
        coordinators=_coordinators(traffic, machine, nodes, flushed) if nodes > 1 else 0,
        writers=writers,
        flushed=flushed,
        data=data,
        wal_s=wal.bytes_s(costs),
        wal_tb=_wal_tb(assumed, wal.bytes_s(costs) / 1e6),
        read=read,
        resources=_resources(traffic, _Asked(machine, nodes, writers, flushed, data, read, wal)),
    )


def _written_s(traffic: Traffic, read: float, nodes: int) -> float:
    """Seconds that a report keeps a writer's connection."""
    each_s = needs.written_s(traffic.costs, traffic.assumed, read)
    if nodes == 1:
        return each_s
    return each_s + (traffic.costs.citus_coordinator_us + traffic.costs.citus_worker_us) / 1e6 / traffic.assumed.core


def _commit_s(traffic: Traffic, nodes: int) -> float:
    """Seconds of a commit; on several nodes it is prepared on each, and committed then."""
    costs, assumed = traffic.costs, traffic.assumed
    if nodes == 1:
        return needs.commit_s(costs, assumed)
    cpu_us = assumed.shards * (nodes * costs.citus_coordinator_shard_us + costs.citus_worker_shard_us)
    return 2 * assumed.commit_ms / 1e3 + (cpu_us + costs.service_flush_us) / 1e6 / assumed.core


def _writers(traffic: Traffic, report_s: float, wait_s: float) -> int:
    """The receivers' processes: none of them, and no connection of theirs, has less free than it should."""
    free = 1 - traffic.assumed.headroom
    writers = max(1, math.ceil(traffic.peak_s * report_s / free - 1e-9))
    while True:
        flushed = needs.flushes(traffic.peak_s, writers, wait_s, report_s)
        cores = needs.service_cores(traffic.costs, traffic.assumed, traffic.peak_s, flushed)
        spooling = needs.spooling_cores(traffic.costs, traffic.assumed, traffic.peak_s)
        wanted = math.ceil(max(cores / free, cores + spooling) - 1e-9)
        if wanted <= writers:
            return writers
        writers = max(writers + 1, min(wanted, writers * 2))


def _commits_s(flushed: needs.Flushes, nodes: int) -> float:
    """Commits a second in which one of the nodes has a part."""
    return flushed.per_second * min(1.0, flushed.size / nodes)


def _shards_s(assumed: Assumptions, flushed: needs.Flushes, nodes: int) -> float:
    """Shards a second in which something is committed: of each commit all, or as many as it has reports."""
    return flushed.per_second * min(assumed.shards * nodes, flushed.size)


def _coordinators(traffic: Traffic, machine: Machine, nodes: int, flushed: needs.Flushes) -> int:
    costs, assumed = traffic.costs, traffic.assumed
    used_us = traffic.peak_s * costs.citus_coordinator_us
    used_us += _shards_s(assumed, flushed, nodes) * costs.citus_coordinator_shard_us
    return math.ceil(used_us / 1e6 / assumed.core / machine.cores / (1 - assumed.headroom))


class _Asked(NamedTuple):
    machine: Machine
    nodes: int
    writers: int
    flushed: needs.Flushes
    data: needs.Data
    read: float
    wal: needs.Wal


def _resources(traffic: Traffic, asked: _Asked) -> list[Resource]:
    costs, assumed, machine = traffic.costs, traffic.assumed, asked.machine
    own_s = traffic.peak_s / asked.nodes
    each_s = _written_s(traffic, asked.read, asked.nodes)
    wal_mb = asked.wal.bytes_s(costs) / 1e6
    sent_mb = (own_s * costs.sql_in_bytes + _commits_s(asked.flushed, asked.nodes) * costs.sql_flush_bytes) / 1e6
    network_mb = sent_mb + wal_mb * costs.replication * assumed.replicas
    table = [
        (CPU, "cores", _cores(traffic, own_s, asked), machine.cores),
        (CONNECTION, "", traffic.peak_s / asked.writers * each_s, 1),
        (WAL, "MB/s", wal_mb, machine.write_mb_s / 2),
        (PAGES, "/s", own_s * asked.read + asked.wal.pages, machine.pages_s),
        (NETWORK, "MB/s", network_mb, machine.network_mb_s),
    ]
    if assumed.replicas:
        table.append((REPLAY, "cores", own_s * costs.standby_us / 1e6 / assumed.core, 1))
    found = [
        Resource(name=name, unit=unit, needed=needed, has=has, free=assumed.headroom)
        for name, unit, needed, has in table
    ]
    disk_tb = asked.data.disk_tb + _wal_tb(assumed, wal_mb)
    return [*found, Resource(name=DISK, unit="TB", needed=disk_tb, has=machine.disk_tb, free=0)]


def _cores(traffic: Traffic, own_s: float, asked: _Asked) -> float:
    costs, assumed = traffic.costs, traffic.assumed
    if asked.nodes == 1:
        return needs.database_cores(costs, assumed, own_s, asked.flushed)
    used_us = own_s * costs.citus_worker_us
    used_us += _shards_s(assumed, asked.flushed, asked.nodes) / asked.nodes * costs.citus_worker_shard_us
    return used_us * (1 + costs.database_other) / 1e6 / assumed.core


def _wal_tb(assumed: Assumptions, wal_mb: float) -> float:
    """What is kept of the WAL between checkpoints, at the highest rate: max_wal_size must be as much."""
    return 2 * wal_mb * assumed.checkpoint_min * 60 / 1e6
