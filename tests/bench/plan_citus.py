"""What a report costs a coordinator of Citus and its workers: the costs of `make plan` that need such a cluster."""

import os
import shutil
from pathlib import Path
from typing import Final

import click
import psutil
from support import citus
from support.cluster import Cluster
from support.databases import fill_template

from bench.driving import driving
from receiver.embedded.processes import processes_of

_ROUNDS: Final = ((200, 10_000), (1, 300))
"""Reports a commit, and reports."""

Costs = dict[str, float]


async def measure(folder: Path) -> Costs:
    """The costs by their names in plan.costs; none where the environment names no Citus."""
    binaries = os.environ.get(citus.VARIABLE)
    if not binaries:
        click.echo(f"without Citus: {citus.WITHOUT}", err=True)
        return {}
    try:
        async with citus.running(folder / "citus", Path(binaries)) as nodes:
            name = await nodes.empty_database("bench")
            await fill_template(nodes.socket_url(name), shards=citus.SHARDS)
            used = await _used(nodes, nodes.url(name))
    finally:
        shutil.rmtree(folder / "citus", ignore_errors=True)
    (many, _), (one, _) = _ROUNDS
    found = {}
    for node in ("coordinator", "worker"):
        commit = (used[node, one] - used[node, many]) / (1 - one / many)
        found[f"citus_{node}_flush_us"] = commit
        found[f"citus_{node}_us"] = max(0.0, used[node, many] - commit / many)
    found["citus_worker_flush_us"] /= len(nodes.workers)
    return found


async def _used(nodes: citus.Citus, url: str) -> dict[tuple[str, int], float]:
    """µs of CPU a report, of the coordinator and of all workers, by the reports a commit."""
    found = {}
    async with driving(url) as driver:
        for flush, count in _ROUNDS:
            await driver.write(5 * flush, "ACCEPTD", flush)  # connections and plans are there then
            before = _cpu_us(nodes), sum(map(_cpu_us, nodes.workers))
            await driver.write(count, "ACCEPTD", flush)
            after = _cpu_us(nodes), sum(map(_cpu_us, nodes.workers))
            for node, start, end in zip(("coordinator", "worker"), before, after, strict=True):
                found[node, flush] = (end - start) / count
    return found


def _cpu_us(node: Cluster) -> float:
    """Of its processes, and of those that have ended."""
    total = 0.0
    for process in processes_of(node.layout.pgdata):
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total * 1e6
