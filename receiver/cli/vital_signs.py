"""What `receiver status` looks at: the running service by its ops listener, the spool, and figures from SQL."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from prometheus_client.parser import text_string_to_metric_families

from receiver import embedded
from receiver.addresses import url_of
from receiver.cli.asking import with_reader
from receiver.cli.running_service import NoAnswer, ops_response
from receiver.cli.spool import open_files
from receiver.errors import OperatorError
from receiver.reading import lists, overview, times
from receiver.reading.counted import whole_hours
from receiver.reading.errors import ReadError
from receiver.reading.filters import Filters
from receiver.reading.lists import OverdueCount
from receiver.reading.overview import Compared, Counts
from receiver.reading.periods import Period
from receiver.reading.reader import Reader
from receiver.reading.times import LastReport, Recent
from receiver.settings import Settings, variable
from receiver.store.spool_errors import SpoolInUse
from receiver.store.spool_file import total

T = TypeVar("T")

_TIMEOUT_S: Final = 8.0
_NOT_READY: Final = 503
_RECENTLY: Final = 10
"""Minutes of which the rate of now is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The running service's own account: what `/readyz` says, its version, and each platform's last report."""

    url: str
    readiness: Mapping[str, Any]
    version: str | None
    last: Mapping[str, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """From SQL: of a period, beside the same one before; the rate of now in reports a minute."""

    counts: Counts
    compared: Compared
    recent: Recent
    overdue: list[OverdueCount]

    @property
    def counted(self) -> Period:
        """The period as it was counted, by whole hours and until now."""
        whole = whole_hours(self.counts.period)
        return whole._replace(until=min(whole.until, max(self.counts.period.until, datetime.now(UTC))))

    @property
    def per_minute(self) -> float | None:
        """Reports a minute over the last whole minutes; None where there is no whole one."""
        whole = self.recent.minutes[:-1][-_RECENTLY:]
        return sum(minute.reports for minute in whole) / len(whole) if whole else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """Everything that was seen. `unwell` are sentences about the service, `unknown` about what could not be asked."""

    service: Service | None
    spool: Mapping[str, Any] | None
    figures: Figures | None
    last: list[LastReport]
    unwell: list[str]
    unknown: list[str]


async def look(settings: Settings, filters: Filters, *, ask_service: bool) -> Signs:
    """Ask everything at once; what does not answer is said."""
    unwell: list[str] = []
    unknown: list[str] = []
    service, figures = await asyncio.gather(
        _or_say(_service, settings, unwell) if ask_service else _nothing(), _figures(settings, filters, unknown)
    )
    spool: Mapping[str, Any] | None = service.readiness["spool"] if service else None
    if service:
        unwell += _complaints(service.readiness)
    elif ask_service:
        spool = _spool_on_disk(settings, unknown)
    return Signs(
        service=service,
        spool=spool,
        figures=figures,
        last=_last(service, figures),
        unwell=unwell,
        unknown=unknown,
    )


async def _nothing() -> None:
    return None


async def _or_say(ask: Callable[[Settings], Awaitable[T]], settings: Settings, said: list[str]) -> T | None:
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return await ask(settings)
    except NoAnswer as error:
        said.append(str(error))
    except TimeoutError:
        said.append(f"the service at {url_of(settings.ops_host, settings.ops_port)} does not answer in time")
    return None


async def _service(settings: Settings) -> Service:
    async with ops_response(settings, "/readyz", accepted=(_NOT_READY,)) as response:
        readiness = await response.json()
    async with ops_response(settings, "/metrics") as response:
        version, last = _of_metrics(await response.text())
    return Service(url=url_of(settings.ops_host, settings.ops_port), readiness=readiness, version=version, last=last)


def _of_metrics(text: str) -> tuple[str | None, dict[str, datetime]]:
    """The version, and the time of each platform's last report."""
    now, version = datetime.now(UTC), None
    last: dict[str, datetime] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "receiver_build_info":
                version = sample.labels.get("version")
            elif sample.name == "receiver_last_report_age_seconds":
                last[sample.labels["provider"]] = now - timedelta(seconds=sample.value)
    return version, last


def _complaints(readiness: Mapping[str, Any]) -> list[str]:
    status = readiness.get("status")
    return [*([] if status == "ready" else [f"the service is {status}"]), *readiness.get("warnings", [])]


async def _figures(settings: Settings, filters: Filters, unknown: list[str]) -> Figures | None:
    if settings.database_url is None and settings.read_database_url is None and not embedded.in_use(settings.data_dir):
        unknown.append(f"no PostgreSQL runs on {variable('data_dir')}={settings.data_dir}: there are no figures")
        return None
    now = datetime.now(UTC)

    async def ask(reader: Reader) -> Figures:
        counts, compared, recent, overdue = await asyncio.gather(
            overview.counts(reader, filters, now=now),
            overview.compared(reader, filters, now=now),
            times.recent(reader, now=now),
            lists.overdue_counts(reader),
        )
        return Figures(counts=counts, compared=compared, recent=recent, overdue=overdue)

    try:
        return await with_reader(settings, ask)
    except ReadError as error:
        unknown.append(str(error))
    return None


def _spool_on_disk(settings: Settings, unknown: list[str]) -> Mapping[str, Any] | None:
    """Of a service that does not answer: whether something waits there is what one has to know."""
    try:
        files = open_files(settings)
    except SpoolInUse:
        unknown.append("the spool is locked by a service that does not answer")
        return None
    except OperatorError as error:
        unknown.append(str(error))
        return None
    depth = total(file.depth() for file in files)
    for file in files:
        file.close()
    return depth.as_dict()


def _last(service: Service | None, figures: Figures | None) -> list[LastReport]:
    """The service knows it to the second, but nothing of the time before its start, nor of other instances."""
    found = {row.provider: row for row in (figures.recent.last if figures else [])}
    for provider, at in (service.last if service else {}).items():
        known = found.get(provider)
        if known is None or known.at < at:
            found[provider] = LastReport(provider, at, exact=True)
    return [found[provider] for provider in sorted(found)]
