"""A plan as text, and the tables of docs/scaling.md."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Final

from plan import databases, machines, needs
from plan.assumptions import Assumptions
from plan.costs import NAMES, Table, described
from plan.ladder import ADVICE, MOST, ladder
from plan.layout import STEPS, Plan, Rented, plan

RATES: Final = (1e6, 1e7, 5e7, 1e8, 2e8, 5e8, 1e9, 2e9)
"""Of the table in docs/scaling.md."""


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, in columns of one width."""
    lines = [head, *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(c.ljust(w) for c, w in zip(line, widths, strict=True))} |" for line in lines)


def count(number: float) -> str:
    """A large number in three digits at most, as people say it: 1.2 million."""
    for size, name in ((1e9, " billion"), (1e6, " million"), (1e3, " thousand")):
        if number >= size * 0.9995:
            return f"{number / size:.3g}{name}"
    return f"{number:.3g}"


def dollars(low: float, high: float) -> str:
    """A range of prices, in two digits: nobody knows more."""
    return "–".join(f"{float(f'{end:.2g}'):,.0f}" for end in (low, high))


def told(found: Plan, table: Table) -> str:
    """All of it: machines, resources, what gives first, the day, and what it was computed from."""
    parts = (_head, _machines, _resources, _first, _day)
    return "\n\n".join([*(part(found) for part in parts), _costs(table), _assumed(found)])


def _head(found: Plan) -> str:
    of, database = found.sized.traffic, found.sized.database
    return (
        f"{count(of.a_day)} reports a day: {of.a_day / 86_400:,.0f}/s in the mean, {of.peak_s:,.0f}/s at the most.\n"
        f"Step: {STEPS[found.sized.step]}.\n"
        f"{database.writers} processes of the service (RECEIVER_WORKERS) with {found.sized.service_cores:.2f} cores "
        f"and {database.writers * of.costs.service_mb:,.0f} MB; {database.flushed.size:.0f} reports a commit, "
        f"{database.flushed.per_second * of.costs.commit_fsyncs:,.0f} fsyncs/s."
    )


def _machines(found: Plan) -> str:
    rows = [
        [one.what, f"{one.number}", f"{one.spare}", one.machine.name, f"{one.disk_tb:.2f}", _price(one)]
        for one in found.rented
    ]
    untried = "\nMore than one coordinator was never tried." if found.sized.database.coordinators > 1 else ""
    return (
        f"{grid(('machines', 'needed', 'spare', 'each', 'disk TB', '$ a month each'), rows)}\n"
        f"Archived WAL of {machines.ARCHIVE_DAYS} days: {found.archive_tb:.2f} TB.\n"
        f"All of it: {dollars(*found.least)} $ a month, {dollars(*found.safe)} with the spare machines.{untried}"
    )


def _price(one: Rented) -> str:
    return dollars(one.dollars(0), one.dollars(1))


def _resources(found: Plan) -> str:
    of, database = found.sized.traffic, found.sized.database
    rows = [
        [one.name, f"{one.needed:,.2f}", f"{one.has:,.0f}", one.unit, f"{one.used:.0%}", f"{1 - one.free:.0%}"]
        for one in database.resources
    ]
    head = ("of a PostgreSQL machine, at the most", "needed", "has", "", "used", "may be")
    return (
        f"{grid(head, rows)}\n"
        f"max_wal_size {database.wal_tb * 1e3:,.0f} GB. The messages' key {database.data.key_gb:,.1f} GB, the day's "
        f"indexes {database.data.day_gb:,.1f} GB: {database.read:.2f} pages a report come from the disk.\n"
        f"Receivers' network {of.peak_s * needs.http_bytes(of.costs, of.assumed) / 1e6:,.2f} MB/s."
    )


def _first(found: Plan) -> str:
    """A writer's connection is left out: it is in use as far as it may be, for there are as many as are needed."""
    others = [one for one in found.sized.database.resources if one.name != databases.CONNECTION]
    said = [
        f"  {one.name}, at {count(found.sized.traffic.a_day / one.full)} a day: {ADVICE[one.name]}."
        for one in sorted(others, key=lambda one: -one.full)[:3]
    ]
    return "\n".join(["What gives first on these machines, and what to do then:", *said])


def _day(found: Plan) -> str:
    rows = [
        [f"{one.hour:02}", f"{one.mean_s:,.0f}", f"{one.most_s:,.0f}", f"{one.busy:.0%}", count(one.spooled)]
        for one in found.day.hours
    ]
    spool_mb = found.day.spool * found.sized.traffic.costs.spool_bytes / 1e6
    return (
        f"{grid(('hour', 'reports/s', 'most', 'PostgreSQL', 'spool'), rows)}\n"
        f"The failover leaves {count(found.day.spool)} reports in the spools, {spool_mb:,.0f} MB in all, "
        f"which are gone {found.day.drain_s:.0f} s after PostgreSQL is back."
    )


def _costs(table: Table) -> str:
    return f"Costs ({table.taken}; * is assumed, not measured):\n{costs_grid(table)}"


def costs_grid(table: Table) -> str:
    """Every cost."""
    rows = []
    for name in NAMES:
        unit, what = described(name)
        star = " *" if name in table.assumed else ""
        rows.append([what, f"{getattr(table.costs, name):g}{star}", unit, f"`{name}`"])
    return grid(("a report", "costs", "", "name"), rows)


def _assumed(found: Plan) -> str:
    given = found.sized.traffic.assumed
    lines = [
        f"  --{one.name.replace('_', '-')} {getattr(given, one.name):g}  {one.metadata['what']}"
        for one in fields(given)
    ]
    return "\n".join(['Assumed, each an option (ARGS="--single 0.9"); `--cost NAME=NUMBER` sets a cost:', *lines])


def rates_grid(table: Table, assumed: Assumptions) -> str:
    """A line for each of RATES."""
    head = ("reports a day", "most/s", "machines, the spare ones too", "disk TB", "WAL MB/s", "spool MB", "$ a month")
    return grid(head, [_rate(plan(table.costs, assumed, rate)) for rate in RATES])


def _rate(found: Plan) -> list[str]:
    of, database = found.sized.traffic, found.sized.database
    rented = [f"{one.number + one.spare} {one.what} of {one.machine.name}" for one in found.rented]
    return [
        count(of.a_day),
        f"{of.peak_s:,.0f}",
        "; ".join(rented),
        f"{database.data.disk_tb * database.nodes:,.2f}",
        f"{database.wal_s * database.nodes / 1e6:,.1f}",
        f"{found.day.spool * of.costs.spool_bytes / 1e6:,.1f}",
        dollars(*found.safe),
    ]


def ladder_grid(table: Table, assumed: Assumptions) -> str:
    """A line for each step."""
    rows = [
        [one.step, _rough(one.most_a_day), "; ".join(f"{name}: {ADVICE[name]}" for name in one.gives)]
        for one in ladder(table.costs, assumed)
    ]
    return grid(("step", "reports a day up to", "what gives then, and what to do"), rows)


def _rough(a_day: float) -> str:
    """In one digit, rounded down: for as many the step is enough."""
    size = 10 ** math.floor(math.log10(a_day))
    return "any" if a_day >= MOST else count(a_day // size * size)
