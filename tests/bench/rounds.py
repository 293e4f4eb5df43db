"""Cases, several times over in turn, so that whatever else the machine does falls on all of them; then medians."""

import sys
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import click

from bench.cases import Case
from bench.cluster import Cluster
from bench.measure import Result, measure
from bench.processes import output_of
from bench.usage import measured

Results = Mapping[Case, Result]


async def run(cluster: Cluster, cases: Sequence[Case], rounds: int, seconds: float) -> dict[Case, Result]:
    """The median of every figure of every case."""
    found: dict[Case, list[Result]] = {case: [] for case in cases}
    for number in range(1, rounds + 1):
        for case in cases:
            result = await _one(cluster, case, seconds)
            found[case].append(result)
            told = f"round {number}/{rounds}  {case.title}: {case.what}: {result.reports_s:,.0f}/s"
            click.echo(told, err=True)
    return {case: middle(results) for case, results in found.items()}


async def _one(cluster: Cluster, case: Case, seconds: float) -> Result:
    if case.server and case.load:
        return await measure(cluster, case.server, case.load, seconds, case.visitors)
    async with cluster.database() as url, measured(None, cluster.postmaster) as usage:
        printed = await output_of(sys.executable, "-m", "bench.ceiling", str(case.how), url, str(seconds))
    return Result(reports_s=float(printed), database_mb=usage.database_peak_mb)


def middle(results: Sequence[Result]) -> Result:
    """The median of each figure by itself."""
    columns = {name: [getattr(one, name) for one in results] for name in Result.__slots__}
    figures: dict[str, Any] = {name: None if None in column else median(column) for name, column in columns.items()}
    return Result(**figures)
