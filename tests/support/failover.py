"""A service under load whose PostgreSQL changes its place, and the ledger of each loss."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Final

from receiver.store.maintenance import counts
from support import ledger as ledgers
from support import rig as rigs
from support.cluster import Cluster
from support.databases import connected
from support.faults import Fault
from support.ledger import Ledger, Row, Verdict
from support.pair import Pair
from support.rig import Rig

SPOOLED_S: Final = 10.0
"""No report may lie longer than this in the spool."""

_COMMITTED: Final = """
SELECT message_id, extract(epoch FROM received_at)::float8, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8
FROM sms_data.report
"""
_COUNTS: Final = """
SELECT (SELECT sum(messages) FROM sms.hourly) = (SELECT count(*) FROM sms.message)
       AND (SELECT sum(reports) FROM sms.hourly) = (SELECT count(*) FROM sms.delivery_report)
"""


@asynccontextmanager
async def loaded(pair: Pair, folder: Path, **options: object) -> AsyncIterator[Rig]:
    """With a database of its own, whose URL names both."""
    database = await pair.primary.new_database()
    async with rigs.serving(pair.primary, folder, database, database_url=pair.url(database), **options) as rig:
        yield rig


def faults(pair: Pair) -> dict[str, Fault]:
    """Of such a pair, by name. When one has healed, commits wait for the standby again, whichever that is then."""

    def promotion(begin: Callable[[Cluster], None]) -> Fault:
        @asynccontextmanager
        async def fault(rig: Rig) -> AsyncIterator[None]:
            begin(pair.primary)
            await pair.promote()
            try:
                yield
            finally:
                pair.standby.kill()
                await pair.rejoin(anew=False)
                await pair.synchronous()
                rig.cluster = pair.primary

        return fault

    @asynccontextmanager
    async def standby_killed(_rig: Rig) -> AsyncIterator[None]:
        pair.standby.kill()
        try:
            yield
        finally:
            await pair.standby.start()
            await pair.synchronous()

    return {
        "primary killed, standby promoted": promotion(Cluster.kill),
        "primary hangs, standby promoted": promotion(Cluster.pause),
        "standby promoted beside the primary": promotion(lambda _: None),
        "standby killed": standby_killed,
    }


@dataclass(frozen=True)
class Commit:
    """Of one report: Unix seconds."""

    message_id: str
    received: float
    committed: float


@dataclass(frozen=True)
class Evidence:
    """All that is known when it is over."""

    ledger: Ledger
    rows: dict[str, Row]
    commits: list[Commit]
    spooled: set[str]

    @property
    def verdict(self) -> Verdict:
        """Of the whole run."""
        return ledgers.judge(self.ledger, self.rows)

    def of(self, name: str, since: float, until: float) -> str:
        """What came of the requests of that time, and of what was committed in it: a line for people."""
        part = self.ledger.between(since, until)
        verdict = ledgers.judge(part, self.rows, self.ledger)
        return (
            f"{name:<34}attempted {len(part.ids()):>5}  acknowledged {len(part.ids('ok')):>5}"
            f"  spooled {len(part.ids() & self.spooled):>5}  stored {verdict.stored:>5}"
            f"  lost {len(verdict.lost)}  twice {len(verdict.duplicated)}"
            f"  without commits {self.silence(since, until):.1f} s  in the spool {self.longest(since, until):.1f} s"
        )

    def silence(self, since: float, until: float) -> float:
        """The longest time between two commits one after the other, of which one at least is within these times."""
        times = sorted({commit.committed for commit in self.commits})
        return max((b - a for a, b in pairwise(times) if b >= since and a < until), default=0.0)

    def longest(self, since: float = 0.0, until: float = inf) -> float:
        """The longest time between arrival and commit, of what was committed within these times."""
        found = (c.committed - c.received for c in self.commits if since <= c.committed < until)
        return max(found, default=0.0)


async def settle(pair: Pair, rig: Rig) -> Evidence:
    """Stop the load, let the spool drain, and say what came of each loss."""
    rig.cluster = pair.primary
    return await settled(pair.primary.socket_url(rig.database), rig)


async def settled(url: str, rig: Rig) -> Evidence:
    """As `settle`, of the database at that URL, a superuser's."""
    ledger = await rig.load.stop()
    await rig.service.drained()
    evidence = Evidence(ledger, await ledgers.stored(url), await commits(url), spooled_by(rig))
    begins = [since for _, since, _ in rig.phases]
    for (name, since, _), until in zip(rig.phases, [*begins[1:], inf], strict=True):
        rig.say(evidence.of(name, since, until))
    rig.say(evidence.of("whole run", 0.0, inf))
    return evidence


async def check(pair: Pair, rig: Rig) -> Evidence:
    """`settle`, and assert what must hold after every failover without loss."""
    evidence = await settle(pair, rig)
    nothing_lost(evidence, rig)
    await counts_agree(pair.primary.socket_url(rig.database))
    return evidence


async def counts_agree(url: str) -> None:
    """The counts by the hour are those of the messages and reports."""
    async with connected(url) as sql:
        assert await sql.fetchval(_COUNTS)
        assert await counts.recount(sql) == 0


async def commits(url: str) -> list[Commit]:
    """Of all reports that a server has."""
    async with connected(url) as sql:
        return [Commit(*row) for row in await sql.fetch(_COMMITTED)]


def nothing_lost(evidence: Evidence, rig: Rig) -> None:
    """Assert that all that was sent was acknowledged, and is stored, once."""
    assert evidence.verdict.good, evidence.verdict
    assert set(evidence.ledger.statuses()) == {"200"}
    assert not rig.service.noise(), "\n".join(rig.service.noise())


def spooled_by(rig: Rig) -> set[str]:
    """The reports that the service put into its spool, as its log tells."""
    lines = (line for line in rig.service.output if '"report.spooled"' in line)
    return {json.loads(line)["message_id"] for line in lines}
