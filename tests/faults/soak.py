"""A random schedule of every fault for a given time, one after the other or two at once, and the ledger of it.

    make soak SECONDS=300 SEED=1 [WORKERS=2] [PAIR=1]

The exit code is 1 if an acknowledged report is lost, one is stored twice or out of nowhere, or a request hung.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from click import echo
from support import cluster as clusters
from support import failover
from support import ledger as ledgers
from support import pair as pairs
from support import rig as rigs
from support.faults import FAULTS, SERVICE_FAULTS, WORKER_FAULTS, Fault
from support.rig import Rig

_LONGEST_S: Final = 6.0
_CALM_S: Final = 3.0
_DISK_FULL: Final = "postgresql disk full"


Round = tuple[str, float, float]
"""Name, begin and end, in Unix seconds."""

Faults = dict[str, Fault]


async def _schedule(
    rig: Rig, seconds: float, dice: random.Random, of_postgresql: Faults, of_service: Faults
) -> list[Round]:
    """Break, heal, wait a moment, and so on. Of two at once, one is PostgreSQL's and one the service's."""
    faults = of_postgresql | of_service
    rounds: list[Round] = []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        names = [dice.choice(list(of_postgresql))] if dice.random() < 0.75 else []
        if not names or dice.random() < 0.3:
            names.append(dice.choice(list(of_service)))
        began = time.time()
        async with AsyncExitStack() as stack:
            for name in names:
                await stack.enter_async_context(faults[name](rig))
            await asyncio.sleep(dice.uniform(0.2, _LONGEST_S))
        rounds.append((" + ".join(names), began, time.time()))
        if not rig.service.alive:
            rounds.append(("the service ended by itself", time.time(), time.time()))
            break
        await asyncio.sleep(dice.uniform(0, _CALM_S))
    return rounds


def _table(rounds: list[Round], ledger: ledgers.Ledger, rows: dict[str, ledgers.Row]) -> None:
    """One line a round, until the next one begins."""
    heads = ("at s", "for s", "requests", "ok", "failed", "unknown", "stored", "dupl.", "lost", "p99 ms", "max ms")
    echo(f"{'fault':<52}" + "".join(f"{head:>9}" for head in heads))
    start = rounds[0][1] if rounds else 0.0
    for number, (name, began, ended) in enumerate(rounds):
        until = rounds[number + 1][1] if number + 1 < len(rounds) else float("inf")
        echo(_line(name, f"{began - start:.1f}", f"{ended - began:.1f}", ledger.between(began, until), rows, ledger))
    echo(_line("everything", "", "", ledger, rows, ledger))


def _line(
    name: str, at: str, lasted: str, part: ledgers.Ledger, rows: dict[str, ledgers.Row], whole: ledgers.Ledger
) -> str:
    verdict = ledgers.judge(part, rows, whole)
    counts, took = part.outcomes(), part.percentiles()
    cells = (
        at,
        lasted,
        len(part.attempts),
        *(counts[outcome] for outcome in ("ok", "failed", "unknown")),
        verdict.stored,
        len(verdict.duplicated),
        len(verdict.lost),
        f"{1000 * took.get('p99', 0):.0f}",
        f"{1000 * took.get('max', 0):.0f}",
    )
    return f"{name:<52}" + "".join(f"{cell:>9}" for cell in cells)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=None, help="the same seed makes the same schedule")
    parser.add_argument("--workers", type=int, default=1, help="processes of the service that take callbacks")
    parser.add_argument("--pair", action="store_true", help="a primary and a synchronous standby, which change places")
    parser.add_argument("--rate", type=float, default=150.0, help="requests per second")
    options = parser.parse_args()
    seed = random.randrange(10**6) if options.seed is None else options.seed
    echo(f"{options.seconds:.0f} s of faults, seed {seed}, {options.rate:.0f} requests/s")
    with tempfile.TemporaryDirectory(prefix="receiver-soak-") as name:
        folder = Path(name).resolve()
        folder.chmod(0o711)  # as root, PostgreSQL runs as somebody else, who has to pass through
        return asyncio.run(_soak(folder, options, random.Random(seed)))


@asynccontextmanager
async def _alone(folder: Path, load: dict[str, object]) -> AsyncIterator[tuple[Rig, Faults]]:
    """One PostgreSQL, and what may happen to it."""
    async with clusters.running(folder / "cluster") as cluster, rigs.loaded(cluster, folder, **load) as rig:
        yield rig, FAULTS


@asynccontextmanager
async def _as_a_pair(folder: Path, load: dict[str, object]) -> AsyncIterator[tuple[Rig, Faults]]:
    """A primary and its standby.

    Both are reached directly, so that there is no network to break; and their files may grow: under the limit that
    stands in for a full disk, one did not get through its crash recovery.
    """
    async with pairs.running(folder / "pair") as pair:
        await pair.synchronous()
        async with failover.loaded(pair, folder, **load) as rig:
            of_one = {name: fault for name, fault in FAULTS.items() if not name.startswith(("network", _DISK_FULL))}
            yield rig, of_one | failover.faults(pair)


async def _soak(folder: Path, options: argparse.Namespace, dice: random.Random) -> int:
    """The exit code."""
    load: dict[str, object] = {"rate": options.rate, "workers": options.workers}
    async with (_as_a_pair if options.pair else _alone)(folder, load) as (rig, faults):
        of_service = SERVICE_FAULTS | (WORKER_FAULTS if options.workers > 1 else {})
        rounds = await _schedule(rig, options.seconds, dice, faults, of_service)
        ledger = await rig.load.stop()
        await rig.service.drained(120)
        rows = await ledgers.stored(rig.cluster.socket_url(rig.database))
        verdict = ledgers.judge(ledger, rows)
        _table(rounds, ledger, rows)
        hung = sum((a.seconds or 0.0) > rigs.NO_HANG_S for a in ledger.attempts.values())
        echo(f"acknowledged {len(ledger.ids('ok'))} reports, attempted {len(ledger.ids())}, stored {len(rows)};")
        echo(
            f"lost {len(verdict.lost)}, stored twice {len(verdict.duplicated)}, out of nowhere {len(verdict.invented)},"
            f" received at another time {len(verdict.mistimed)}, requests that hung {hung}."
        )
        for line in rig.service.noise():
            echo(f"log: {line}")
        good = verdict.good and not hung and not rig.service.noise() and rig.service.alive
        echo("good" if good else "BAD")
        return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
