"""Results as Markdown."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from bench.cases import Case
from bench.rounds import Results

_HEAD = ("reports/s", "of (a)", "of (b)", "of (e)", "p50 ms", "p99 ms", "max ms", "service", "PostgreSQL", "µs/report")
_MEMORY = ("MB", "PostgreSQL MB")


def markdown(results: Results) -> str:
    """A table for each title, in the order of the cases."""
    copied = next((r.reports_s for case, r in results.items() if case.how == "copy"), None)
    tables = []
    for title, cases in groupby(results, key=lambda case: case.title):
        group = list(cases)
        bases = [_rate(results, group, server) for server in ("bare", "naive")]
        rows = [_row(case, results, [*bases, copied]) for case in group]
        tables.append(f"### {title[0].upper()}{title[1:]}\n\n{grid(('', *_HEAD, *_MEMORY), rows)}")
    return "\n\n".join(tables)


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; columns that are empty in every row are left out."""
    rows = list(rows)
    kept = [i for i in range(len(head)) if i == 0 or any(row[i] for row in rows)]
    lines = [[head[i] for i in kept], ["---" if i == 0 else "---:" for i in kept]]
    lines += [[row[i] for i in kept] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _rate(results: Results, group: Sequence[Case], server: str) -> float | None:
    return next((results[case].reports_s for case in group if case.server == server), None)


def _row(case: Case, results: Results, bases: Sequence[float | None]) -> list[str]:
    r = results[case]
    ratios = ["" if not base else f"{r.reports_s / base:.2f}" for base in bases]
    cost = "" if r.service_cores is None else f"{r.service_cores / r.reports_s * 1e6:.1f}"
    refused = f" ({r.refused:.0f} refused)" if r.refused else ""
    cores = [_number(r.service_cores, 2), _number(r.database_cores, 2)]
    latencies = [_number(r.p50_ms, 2), _number(r.p99_ms, 1), _number(r.max_ms, 0)]
    memory = [_number(r.service_mb, 0), _number(r.database_mb, 0)]
    return [case.what + refused, f"{r.reports_s:,.0f}", *ratios, *latencies, *cores, cost, *memory]


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"
