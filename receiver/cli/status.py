"""`receiver status`: how it goes, on one screen."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import click

from receiver.cli.asking import filter_options, filters_of
from receiver.cli.common import quiet_settings, run
from receiver.cli.vital_signs import Figures, Signs, look
from receiver.reading.overview import Totals
from receiver.telemetry.short_line import lateness
from receiver.telemetry.visible import visible, visible_json

_WELL: Final = "well"
_UNWELL: Final = "not well"
_CANNOT_TELL: Final = "cannot tell"
_CODES: Final = {_WELL: 0, _UNWELL: 1, _CANNOT_TELL: 3}
_COLOURS: Final = {_WELL: "green", _UNWELL: "red", _CANNOT_TELL: "yellow"}
_REASONS: Final = 5


@click.command()
@filter_options(("since", "until", "provider", "country"))
@click.option("--no-service", is_flag=True, help="Ask the database alone, from a machine without the service.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def status(context: click.Context, /, *, no_service: bool, as_json: bool, **given: Any) -> None:
    """Show on one screen how it goes.

    Whether the service keeps reports now; rates of the last day (or --since) beside the same hours a day and a week
    before; each platform's last report, the spool, failures, overdue messages.

    Exit code 0: well. 1: not well; the service does not answer, is not ready, or warns. 3: cannot tell; the figures
    could not be read.
    """
    filters = filters_of(given)
    signs = run(look(quiet_settings(), filters, ask_service=not no_service))
    verdict = _UNWELL if signs.unwell else _CANNOT_TELL if signs.unknown else _WELL
    if as_json:
        click.echo(visible_json(json.dumps(_as_json(signs, verdict), indent=2)))
    else:
        for line in _lines(signs, verdict, filters.provider):
            click.echo(line)
    context.exit(_CODES[verdict])


def _lines(signs: Signs, verdict: str, provider: str | None) -> Iterable[str]:
    service = signs.service
    where = f" {service.version or ''} at {service.url}" if service else ""
    yield f"{click.style(verdict, fg=_COLOURS[verdict], bold=True)}  receiver{where}"
    for said in (*signs.unwell, *signs.unknown):
        yield f"  ! {visible(said)}"
    if service:
        readiness = service.readiness
        yield f"  database   {'takes reports' if readiness['database'] else 'takes no reports'}"
        days = readiness["partition_days_left"]
        yield f"  partitions {'not known yet' if days is None else f'{days} days ahead'}"
        if workers := readiness.get("workers"):
            yield f"  workers    {workers['serving']} of {workers['wanted']}"
    if signs.spool:
        oldest = f", the oldest of {signs.spool['oldest']}" if signs.spool["oldest"] else ""
        yield f"  spool      {signs.spool['callbacks']} callbacks{oldest}, {signs.spool['file_bytes']:,} bytes"
    if signs.figures:
        yield from _figure_lines(signs.figures, provider)
    yield from _platform_lines(signs, provider)


def _figure_lines(figures: Figures, provider: str | None) -> Iterable[str]:
    counts, before = figures.counts, figures.compared
    rate = figures.per_minute
    of_all = " (all platforms)" if provider else ""
    yield f"  reports    {'-' if rate is None else f'{rate:,.1f}'} a minute of late{of_all}"
    yield ""
    yield _header(f"since {counts.period.since:%Y-%m-%d %H:%M}Z")
    for label, totals in (
        ("now", counts.totals),
        ("a day before", before.day_before),
        ("a week before", before.week_before),
    ):
        if totals is not None:
            yield f"    {label:<23}{_totals_line(totals)}"
    if counts.reasons:
        told = ", ".join(f"{row.reason} {row.messages:,}" for row in counts.reasons[:_REASONS])
        yield f"  failures   {told}{', …' if len(counts.reasons) > _REASONS else ''}"
    for row in (one for one in figures.overdue if provider in (None, one.provider)):
        yield f"  overdue    {row.provider}: {row.messages:,} by {row.rule}, since {row.oldest:%Y-%m-%d %H:%M}Z"


def _header(label: str) -> str:
    return f"  {label:<25}{'delivered':>10} {'messages':>10} {'failed':>10} {'under way':>10}"


def _totals_line(totals: Totals) -> str:
    rate = "-" if totals.rate is None else f"{100 * totals.rate:.1f} %"
    return f"{rate:>10} {totals.messages:>10,} {totals.failed:>10,} {totals.under_way:>10,}"


def _platform_lines(signs: Signs, provider: str | None) -> Iterable[str]:
    """Of all platforms, or of the one that was asked for: the figures are of it alone."""
    now = datetime.now(UTC)
    groups = {group.name: group.totals for group in signs.figures.counts.providers} if signs.figures else {}
    last = {row.provider: row for row in signs.last if provider in (None, row.provider)}
    if groups or last:
        yield ""
        yield _header("platform     last report")
    for name in sorted(groups.keys() | last.keys()):
        row = last.get(name)
        ago = "-" if row is None else f"{'' if row.exact else '~'}{lateness((now - row.at).total_seconds())} ago"
        yield f"    {name:<11}{ago:<12}{_totals_line(groups.get(name, Totals(0, 0, 0, 0)))}"


def _as_json(signs: Signs, verdict: str) -> dict[str, object]:
    service, figures = signs.service, signs.figures
    return {
        "status": verdict,
        "unwell": signs.unwell,
        "unknown": signs.unknown,
        "service": {"url": service.url, "version": service.version, **service.readiness} if service else None,
        "spool": signs.spool,
        "last_reports": [
            {"provider": row.provider, "at": row.at.isoformat(), "exact": row.exact} for row in signs.last
        ],
        "figures": _figures_json(figures) if figures else None,
    }


def _figures_json(figures: Figures) -> dict[str, object]:
    counts, before = figures.counts, figures.compared
    return {
        "since": figures.counted.since.isoformat(),
        "until": figures.counted.until.isoformat(),
        "reports_per_minute": figures.per_minute,
        "now": _totals_json(counts.totals),
        "day_before": before.day_before and _totals_json(before.day_before),
        "week_before": before.week_before and _totals_json(before.week_before),
        "platforms": {group.name: _totals_json(group.totals) for group in counts.providers},
        "countries": {group.name: _totals_json(group.totals) for group in counts.countries},
        "failures": {row.reason: row.messages for row in counts.reasons},
        "overdue": [row._asdict() | {"oldest": row.oldest.isoformat()} for row in figures.overdue],
    }


def _totals_json(totals: Totals) -> dict[str, object]:
    return totals._asdict() | {"under_way": totals.under_way, "delivered_share": totals.rate}
