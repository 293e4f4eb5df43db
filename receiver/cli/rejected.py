"""`receiver rejected`: what could not be understood, and a second chance for it."""

import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import asyncpg
import click

from receiver.cli.common import errors, quiet_settings, run, with_database
from receiver.store import rejected as store
from receiver.store.partitions import connected
from receiver.store.rejected import Filter, Rejected

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_LIMIT = 1_000


@click.group()
def rejected() -> None:
    """List, show, replay or purge payloads that could not be understood."""


def _age(_context: click.Context, _parameter: click.Parameter, value: float | None) -> datetime | None:
    return None if value is None else datetime.now(UTC) - timedelta(days=value)


def _filters(command: F) -> F:
    options = (
        click.option("--provider", help="Only those of this platform."),
        click.option("--newer-than", "since", type=float, callback=_age, metavar="DAYS", help="Only younger ones."),
        click.option("--older-than", "before", type=float, callback=_age, metavar="DAYS", help="Only older ones."),
        click.option("--replayed", "replayed_too", is_flag=True, help="Also those that were replayed."),
    )
    for option in options:
        command = option(command)
    return command


@rejected.command("list")
@_filters
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, _LIMIT), help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_command(*, limit: int, as_json: bool, **wanted: Any) -> None:  # noqa: ANN401 - the filters' options
    """Show what was rejected and why, oldest first."""
    payloads = _do(lambda connection: store.find(connection, Filter(**wanted), limit))
    if as_json:
        click.echo(json.dumps([_summary(payload) for payload in payloads], indent=2))
        return
    for payload in payloads:
        replayed = "  replayed" if payload.replayed_at else ""
        click.echo(f"{str(payload.rejected_id)[:8]}  {payload.received_at:%Y-%m-%d %H:%M:%S}  {payload.path}{replayed}")
        click.echo(f"          {payload.error}")


@rejected.command()
@click.argument("rejected_id")
@click.option("--raw", is_flag=True, help="Write the body's bytes and nothing else.")
def show(rejected_id: str, *, raw: bool) -> None:
    """Show one payload, body and all. REJECTED_ID may be the first characters of the id."""
    payload = _one(rejected_id)
    if raw:
        sys.stdout.buffer.write(payload.body)
        return
    for name, value in _summary(payload).items():
        click.echo(f"{name:<13} {'-' if value is None else value}")
    click.echo()
    click.echo(payload.body.decode(errors="backslashreplace"))


@rejected.command()
@click.argument("rejected_id", required=False)
@_filters
@click.option("--limit", default=_LIMIT, show_default=True, type=click.IntRange(1), help="At most so many.")
@click.option("--dry-run", is_flag=True, help="Only say what would be understood now.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def replay(rejected_id: str | None, *, limit: int, dry_run: bool, as_json: bool, **wanted: Any) -> None:  # noqa: ANN401
    """Read payloads again, after an upgrade that understands more; their original arrival is kept."""
    chosen = Filter(id_prefix=rejected_id, **wanted)

    async def work(connection: "asyncpg.Connection[asyncpg.Record]") -> list[store.Replayed]:
        return await store.replay(connection, await store.find(connection, chosen, limit), dry_run=dry_run)

    done = _do(work)
    if as_json:
        rows = [
            {"rejected_id": str(r.rejected_id), "understood": r.understood, "stored": r.stored, "error": r.error}
            for r in done
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    for one in done:
        click.echo(f"{str(one.rejected_id)[:8]}  understood {one.understood}, stored {one.stored}  {one.error or ''}")
    whole = sum(one.error is None for one in done)
    click.echo(f"{len(done)} read again, {whole} wholly understood{' (dry run)' if dry_run else ''}.")


@rejected.command()
@_filters
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.confirmation_option(prompt="Delete these payloads for good?")
def purge(*, dry_run: bool, **wanted: Any) -> None:  # noqa: ANN401 - the filters' options
    """Delete payloads."""
    work = store.count if dry_run else store.purge
    number = _do(lambda connection: work(connection, Filter(**wanted)))
    click.echo(f"{number} {'would be deleted' if dry_run else 'deleted'}.")


def _do(work: Callable[["asyncpg.Connection[asyncpg.Record]"], Awaitable[T]]) -> T:
    async def with_connection(url: str) -> T:
        async with connected(url) as connection:
            return await work(connection)

    with errors():
        return run(with_database(quiet_settings(), with_connection))


def _one(rejected_id: str) -> Rejected:
    found = _do(lambda connection: store.find(connection, Filter(id_prefix=rejected_id, replayed_too=True), 2))
    if len(found) != 1:
        raise click.ClickException("no payload has this id" if not found else "several ids begin so; give more of it")
    return found[0]


def _summary(payload: Rejected) -> dict[str, str | int | None]:
    replayed_at = payload.replayed_at
    return {
        "rejected_id": str(payload.rejected_id),
        "provider": payload.provider,
        "path": payload.path,
        "received_at": payload.received_at.isoformat(),
        "error": payload.error,
        "content_type": payload.content_type,
        "bytes": len(payload.body),
        "remote_addr": payload.remote_addr,
        "replayed_at": replayed_at.isoformat() if replayed_at else None,
    }
