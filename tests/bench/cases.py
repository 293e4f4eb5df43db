"""What is measured, as a table: services by loads. The names are those of the table that is printed."""

from dataclasses import dataclass
from typing import Final

from bench.visitors import VISITORS
from bench.wrk import Load

SINGLE_1: Final = Load("single", 1)
SINGLE_64: Final = Load("single", 64)
SINGLE_512: Final = Load("single", 512)
BATCH_16: Final = Load("batch", 16, 50)

THOUSAND: Final = Load("single", 64, pause_ms=60)
"""About 1,000 single reports a second."""

LIVE: Final = Load("single", 8)
"""The traffic beside which a spool is drained."""

LOADS: Final = {
    "single reports, 1 connection": SINGLE_1,
    "single reports, 64 connections": SINGLE_64,
    "single reports, 512 connections": SINGLE_512,
    "batches of 50, 16 connections": BATCH_16,
}

SERVICES: Final = {
    "bare": "(a) bare aiohttp handler",
    "naive": "(b) one INSERT a report",
    "receiver": "(c) receiver",
    "receiver-base": "receiver, as it was",
    "receiver-down": "(d) receiver, PostgreSQL down",
    "fastify": "(f) Fastify + pg, one INSERT a request",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One line of a table. `how` is for PostgreSQL alone (bench.ceiling), and then there is no service and no load.

    `visitors` have pages open meanwhile (bench.visitors).
    """

    title: str
    what: str
    server: str | None = None
    load: Load | None = None
    how: str | None = None
    visitors: str | None = None


MAIN: Final = (
    *(Case(title, what, server, load) for title, load in LOADS.items() for server, what in SERVICES.items()),
    Case("batches of 50, 16 connections", "(b) with executemany", "naive-many", BATCH_16),
    Case("PostgreSQL alone, 1 connection", "(e) COPY, 2,000 rows a commit, plain table", how="copy"),
    Case("PostgreSQL alone, 1 connection", "COPY, the same with a primary key", how="copy-key"),
    Case("PostgreSQL alone, 1 connection", "the receiver's transaction, 64 rows", how="write-64"),
    Case("PostgreSQL alone, 1 connection", "the receiver's transaction, 800 rows", how="write-800"),
)

_ONE_BY_ONE: Final = "what it costs: single reports, 64 connections"
_IN_BATCHES: Final = "what it costs: batches of 50, 16 connections"

COSTS: Final = (
    Case(_ONE_BY_ONE, "receiver", "receiver", SINGLE_64),
    Case(_ONE_BY_ONE, "log level WARNING", "receiver-warning", SINGLE_64),
    Case(_ONE_BY_ONE, "no metrics", "receiver-no-metrics", SINGLE_64),
    Case(_ONE_BY_ONE, "every report a duplicate", "receiver", Load("duplicates", 64)),
    Case(_ONE_BY_ONE, "every message twice: accepted, then delivered", "receiver", Load("updates", 64)),
    Case(_ONE_BY_ONE, "CloudSMS", "receiver", Load("cloudsms", 64)),
    Case(_IN_BATCHES, "receiver", "receiver", BATCH_16),
    Case(_IN_BATCHES, "log level WARNING", "receiver-warning", BATCH_16),
    Case(_IN_BATCHES, "no metrics", "receiver-no-metrics", BATCH_16),
    Case(_IN_BATCHES, "Tencent", "receiver", Load("tencent", 16, 50)),
)

_LOADS_OF_WORKERS: Final = ("single reports, 64 connections", "batches of 50, 16 connections")

WORKERS: Final = tuple(
    Case(f"more than one core: {title}", what, server, LOADS[title])
    for title in _LOADS_OF_WORKERS
    for server, what in (("receiver", "one process"), ("receiver-2", "two workers"))
)

VISITED: Final = tuple(
    Case(f"with pages open: {title}", what, "receiver", load, visitors=None if what == "nobody" else what)
    for title, load in (("about 1,000 single reports/s", THOUSAND), ("as fast as it can, 64 connections", SINGLE_64))
    for what in ("nobody", *VISITORS)
)
