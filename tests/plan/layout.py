"""The machines for a rate: receivers, PostgreSQL, what it costs, and how a day goes on them."""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from plan import databases, day, machines, needs
from plan.assumptions import RETENTION_HOURS, Assumptions
from plan.costs import Costs
from plan.databases import Database, Traffic
from plan.machines import MACHINES, Machine

STEPS: Final = (
    "one machine for both",
    "PostgreSQL on a machine of its own, one receiver with workers",
    "one PostgreSQL, several receivers behind HAProxy",
    "Citus, several receivers behind HAProxy",
)


class Rented(NamedTuple):
    """So many machines of a kind, each with a disk of so many terabytes."""

    what: str
    number: int
    spare: int
    machine: Machine
    disk_tb: float

    def dollars(self, end: int) -> float:
        """A month, of one of them; the low end of its price is 0, the high one 1."""
        return self.machine.dollars[end] + self.disk_tb * machines.DISK_DOLLARS[end]


class Sized(NamedTuple):
    """The machines that fit. `shared` is that of both, if one is enough."""

    traffic: Traffic
    database: Database
    receivers: Rented
    shared: Machine | None

    @property
    def step(self) -> int:
        """Index of STEPS."""
        if self.shared:
            return 0
        if self.database.nodes > 1:
            return 3
        return 2 if self.receivers.number > 1 else 1

    @property
    def service_cores(self) -> float:
        """Of all receivers, at the highest load."""
        of = self.traffic
        return needs.service_cores(of.costs, of.assumed, of.peak_s, self.database.flushed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`least` and `safe` are dollars a month, low and high, of what the load needs, and with the spare machines."""

    sized: Sized
    rented: tuple[Rented, ...]
    least: tuple[float, float]
    safe: tuple[float, float]
    day: day.Day
    archive_tb: float


def traffic_of(costs: Costs, assumed: Assumptions, a_day: float) -> Traffic:
    """Raises ValueError for a rate that is none."""
    if not 0 < a_day < 1e13:
        raise ValueError(f"{a_day:g} is no number of reports a day")
    return Traffic(costs=costs, assumed=assumed, a_day=a_day, peak_s=max(day.arrivals(assumed)) * a_day)


def sized(traffic: Traffic) -> Sized:
    """The smallest machines that can do it."""
    shared = next((machine for machine in machines.SHARED if shared_cores(traffic, machine) <= 1), None)
    found = databases.database(traffic, shared) if shared else databases.chosen(traffic)
    return Sized(traffic, found, _receivers(traffic.assumed, found.writers), shared)


def shared_cores(traffic: Traffic, machine: Machine) -> float:
    """Share that both take together of what they may of a machine; infinite where PostgreSQL does not fit."""
    found = databases.database(traffic, machine)
    if not found.fits:
        return math.inf
    service = needs.service_cores(traffic.costs, traffic.assumed, traffic.peak_s, found.flushed)
    return (service + found.resources[0].needed) / machine.cores / (1 - traffic.assumed.headroom)


def _receivers(assumed: Assumptions, processes: int) -> Rented:
    """A core for each process; beyond the largest machine of theirs, several of it."""
    machine = next((one for one in machines.RECEIVERS if one.cores >= processes), machines.RECEIVERS[-1])
    return Rented("receiver", math.ceil(processes / machine.cores), assumed.spare, machine, 0.05)


def plan(costs: Costs, assumed: Assumptions, a_day: float) -> Plan:
    """Raises ValueError for a rate that is none, and for one that no number of these machines takes."""
    found = sized(traffic_of(costs, assumed, a_day))
    if not found.database.fits:
        raise ValueError(f"{a_day:g} reports a day are too many for {databases.MOST_NODES:,} nodes of Citus")
    rented = _rented(assumed, found)
    wal_a_day = found.database.wal_s * found.database.nodes / found.traffic.peak_s * a_day
    archive_tb = wal_a_day * machines.ARCHIVE_DAYS / 1e12
    rates = [rate * a_day for rate in day.arrivals(assumed)]
    return Plan(
        sized=found,
        rented=rented,
        least=_dollars(assumed, rented, archive_tb, spare=False),
        safe=_dollars(assumed, rented, archive_tb, spare=True),
        day=day.simulate(assumed, rates, limits(found)),
        archive_tb=archive_tb,
    )


def limits(found: Sized) -> day.Limits:
    """Reports a second with nothing left free; a report costs no more then than at the day's highest load."""
    of, database = found.traffic, found.database
    most_s = of.peak_s / max(one.used for one in database.resources if one.name != databases.DISK)
    messages = needs.mix(of.assumed).first * of.a_day / database.nodes
    retention_cores = messages * of.costs.database_retention_us / 1e6 / (len(RETENTION_HOURS) * 3600) / of.assumed.core
    idle = database.writers - found.service_cores
    return day.Limits(
        database_s=most_s,
        retention_s=most_s * min(0.9, retention_cores / database.machine.cores),
        drain_s=idle * 1e6 * of.assumed.core / of.costs.service_drain_us,
    )


def _rented(assumed: Assumptions, found: Sized) -> tuple[Rented, ...]:
    database, receivers = found.database, found.receivers
    disk_tb = database.data.disk_tb + database.wal_tb
    if found.shared:
        return (Rented("receiver and PostgreSQL", 1, max(assumed.spare, assumed.replicas), found.shared, disk_tb),)
    rented = [receivers]
    if receivers.number + receivers.spare > 1:
        needed = min(1, receivers.number - 1)
        rented.append(Rented("HAProxy", needed, 2 - needed if receivers.spare else 0, MACHINES[0], 0.02))
    if database.nodes > 1:
        rented.append(Rented("Citus coordinator", database.coordinators, assumed.replicas, database.machine, 0.1))
    what, standbys = "Citus node" if database.nodes > 1 else "PostgreSQL", database.nodes * assumed.replicas
    return (*rented, Rented(what, database.nodes, standbys, database.machine, disk_tb))


def _dollars(
    assumed: Assumptions, rented: tuple[Rented, ...], archive_tb: float, *, spare: bool
) -> tuple[float, float]:
    low, high = (
        sum((one.number + one.spare * spare) * one.dollars(end) for one in rented)
        + archive_tb * machines.ARCHIVE_DOLLARS[end]
        for end in (0, 1)
    )
    return low * assumed.price, high * assumed.price
