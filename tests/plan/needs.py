"""What a rate needs of each resource, from the costs: pure functions."""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from plan.assumptions import Assumptions
from plan.costs import Costs

MAX_FLUSH: Final = 2_000
"""RECEIVER_FLUSH_MAX_REPORTS."""
_BATCH: Final = 50
_PAGE: Final = 8_192
_DAY_S: Final = 86_400


class Flushes(NamedTuple):
    """Reports in a commit, and commits a second of all writers."""

    size: float
    per_second: float


class Mix(NamedTuple):
    """Shares of the reports: they add up to 1."""

    first: float
    second: float
    duplicate: float

    def of(self, first: float, second: float, duplicate: float) -> float:
        """The mean of a cost."""
        return self.first * first + self.second * second + self.duplicate * duplicate


def mix(assumed: Assumptions) -> Mix:
    """First reports of a message, later ones, and those that are there already."""
    new = 1 - assumed.duplicates
    return Mix(new / assumed.per_message, new - new / assumed.per_message, assumed.duplicates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """What retention keeps: on one node of several, its part of it. Message ids land at random in the indexes.

    `key_gb` is the messages' key, as old as the oldest message; `day_gb` are the indexes of one day's reports.
    """

    disk_tb: float
    key_gb: float
    day_gb: float


def kept(costs: Costs, assumed: Assumptions, reports_a_day: float, nodes: int = 1) -> Data:
    """Of a day's reports, for as long as they are kept, with the free share of the disk."""
    shares = mix(assumed)
    messages, others = (share * reports_a_day / nodes for share in (shares.first, shares.second))
    a_day = messages * costs.disk_first_bytes + others * costs.disk_second_bytes
    return Data(
        disk_tb=a_day * (assumed.retention_days + 1) / (1 - assumed.free_disk) / 1e12,
        key_gb=messages * assumed.retention_days * costs.key_bytes / 1e9,
        day_gb=(messages + others) * costs.day_bytes / 1e9,
    )


class Pages(NamedTuple):
    """Pages of a report: in the messages' key, and in the day's indexes."""

    key: float
    day: float

    @property
    def all(self) -> float:
        """Both."""
        return self.key + self.day


def changed(costs: Costs, assumed: Assumptions) -> Pages:
    """Pages at random that a report changes."""
    shares = mix(assumed)
    return Pages(shares.first, shares.first * (costs.first_pages - 1) + shares.second * costs.second_pages)


def missed(costs: Costs, assumed: Assumptions, data: Data, memory_gb: float) -> Pages:
    """Of these, how many are read from the disk. The day's own are in use more often, and stay in memory first."""
    room = assumed.cache * memory_gb
    pages = changed(costs, assumed)
    return Pages(pages.key * _absent(data.key_gb, room - data.day_gb), pages.day * _absent(data.day_gb, room))


def _absent(needed: float, room: float) -> float:
    return 1 - min(1.0, max(0.0, room) / needed) if needed else 0.0


def flushes(reports_s: float, writers: int, wait_s: float, report_s: float) -> Flushes:
    """How group commit works: what comes while one flush is under way is the next one.

    `wait_s` is what a commit takes, and `report_s` what a report adds to it.
    """
    own = reports_s / writers
    free = 1 - own * report_s
    size = own * wait_s / free if free > 0 else MAX_FLUSH
    size = min(max(size, 1.0), MAX_FLUSH)
    return Flushes(size, reports_s / size)


def commit_s(costs: Costs, assumed: Assumptions) -> float:
    """Seconds of a commit."""
    return assumed.commit_ms / 1e3 + (costs.database_flush_us + costs.service_flush_us) / 1e6


def written_s(costs: Costs, assumed: Assumptions, read: float) -> float:
    """Seconds that a report keeps a writer's connection, which waits for the pages that are read."""
    shares = mix(assumed)
    cpu_us = shares.of(costs.database_first_us, costs.database_second_us, costs.database_duplicate_us)
    return (cpu_us / assumed.core + read * assumed.read_us) / 1e6


def service_cores(costs: Costs, assumed: Assumptions, reports_s: float, flushed: Flushes) -> float:
    """Cores of all receivers."""
    report_us = assumed.single * costs.service_single_us + (1 - assumed.single) * costs.service_batch_us
    return (reports_s * report_us + flushed.per_second * costs.service_flush_us) / 1e6 / assumed.core


def spooling_cores(costs: Costs, assumed: Assumptions, reports_s: float) -> float:
    """Cores of all receivers that it takes more to write to the spool."""
    callbacks_s = reports_s * (assumed.single + (1 - assumed.single) / _BATCH)
    return callbacks_s * costs.service_spool_us / 1e6 / assumed.core


def database_cores(costs: Costs, assumed: Assumptions, reports_s: float, flushed: Flushes) -> float:
    """Cores of a PostgreSQL that keeps all reports."""
    report_us = mix(assumed).of(costs.database_first_us, costs.database_second_us, costs.database_duplicate_us)
    backends = reports_s * report_us + flushed.per_second * costs.database_flush_us
    return backends * (1 + costs.database_other) / 1e6 / assumed.core


class Wal(NamedTuple):
    """Bytes a second of records, and pages a second that are written whole, once after each checkpoint."""

    records: float
    pages: float

    def bytes_s(self, costs: Costs) -> float:
        """All of it."""
        return self.records + self.pages * costs.wal_page_bytes


def wal(costs: Costs, assumed: Assumptions, reports_s: float, commits_s: float, data: Data) -> Wal:
    """The larger the indexes, the rarer a page that was changed already since the checkpoint."""
    shares = mix(assumed)
    report = shares.of(costs.wal_first_bytes, costs.wal_second_bytes, costs.wal_duplicate_bytes)
    pages = changed(costs, assumed)
    interval_s = assumed.checkpoint_min * 60
    whole = _distinct(reports_s * pages.key, interval_s, data.key_gb)
    whole += _distinct(reports_s * pages.day, interval_s, data.day_gb)
    return Wal(
        reports_s * report + commits_s * costs.wal_flush_bytes,
        whole + _pages(data.key_gb) * assumed.vacuums / _DAY_S,
    )


def _distinct(changes_s: float, interval_s: float, size_gb: float) -> float:
    """Pages a second that are changed for the first time in an interval, where changes fall anywhere."""
    pages, changes = _pages(size_gb), changes_s * interval_s
    return pages * -math.expm1(-changes / pages) / interval_s if pages else 0.0


def _pages(size_gb: float) -> float:
    return size_gb * 1e9 / _PAGE


def http_bytes(costs: Costs, assumed: Assumptions) -> float:
    """Network of a report from outside, both ways."""
    one = costs.http_in_single_bytes + costs.http_out_bytes
    return assumed.single * one + (1 - assumed.single) * (costs.http_in_batch_bytes + costs.http_out_bytes / _BATCH)
