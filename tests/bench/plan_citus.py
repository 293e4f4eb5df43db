"""What a report costs a coordinator of Citus and its workers: the costs of `make plan` that need such a cluster."""

import os
import shutil
from pathlib import Path
from statistics import median
from typing import Final

import click
import psutil
from support import citus
from support.cluster import Cluster
from support.databases import fill_template

from bench.driving import driving
from receiver.embedded.processes import processes_of

_ROUND: Final = ((1_000, 5_000), (50, 1_000))
"""Reports a commit, and reports: every shard has a part in each commit."""

Costs = dict[str, float]


async def measure(folder: Path, rounds: int) -> Costs:
    """The costs by their names in plan.costs; none where the environment names no Citus."""
    binaries = os.environ.get(citus.VARIABLE)
    if not binaries:
        click.echo(f"without Citus: {citus.WITHOUT}", err=True)
        return {}
    try:
        async with citus.running(folder / "citus", Path(binaries)) as nodes:
            name = await nodes.empty_database("bench")
            await fill_template(nodes.socket_url(name), shards=citus.SHARDS)
            used = await _used(nodes, nodes.url(name), rounds)
    finally:
        shutil.rmtree(folder / "citus", ignore_errors=True)
    (many, _), (few, _) = _ROUND
    found = {}
    for node in ("coordinator", "worker"):
        commit = (used[node, few] - used[node, many]) / (1 / few - 1 / many)
        found[f"citus_{node}_shard_us"] = commit / citus.SHARDS
        found[f"citus_{node}_us"] = max(0.0, used[node, many] - commit / many)
    return found


async def _used(nodes: citus.Citus, url: str, rounds: int) -> dict[tuple[str, int], float]:
    """µs of CPU a report, of the coordinator and of all workers, by the reports a commit: medians."""
    found: dict[tuple[str, int], list[float]] = {}
    async with driving(url) as driver:
        await driver.write(5_000, "ACCEPTD", 500)  # connections and plans are there then
        for _ in range(rounds):
            for flush, count in _ROUND:
                before = _cpu_us(nodes), sum(map(_cpu_us, nodes.workers))
                await driver.write(count, "ACCEPTD", flush)
                after = _cpu_us(nodes), sum(map(_cpu_us, nodes.workers))
                for node, start, end in zip(("coordinator", "worker"), before, after, strict=True):
                    found.setdefault((node, flush), []).append((end - start) / count)
    return {key: median(figures) for key, figures in found.items()}


def _cpu_us(node: Cluster) -> float:
    """Of its processes, and of those that have ended."""
    total = 0.0
    for process in processes_of(node.layout.pgdata):
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total * 1e6
