"""The commands that change the database's schema: `migrate`, `maintain`."""

import json
from dataclasses import asdict

import click

from receiver.cli.common import quiet_settings, run, with_database
from receiver.storage import rejected_days, windows_h
from receiver.store import catalogue_table
from receiver.store import schema as migrations
from receiver.store.maintenance import overdue, partitions, rejected_quota
from receiver.store.maintenance.periodic import connected


@click.command()
def migrate() -> None:
    """Bring the database's schema and code tables up to date."""
    run(with_database(quiet_settings(), _migrate))
    click.echo(f"The schema is at {migrations.head()}.")


async def _migrate(url: str) -> None:
    await migrations.upgrade(url)
    connection = await migrations.connect(url)
    await catalogue_table.sync(connection)
    await connection.close()


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def maintain(*, as_json: bool) -> None:
    """Create the coming days' partitions and drop what is older than RECEIVER_RETENTION_DAYS.

    To drop takes a member of sms_owner. Rejected payloads are brought within RECEIVER_REJECTED_DAYS and
    RECEIVER_REJECTED_MAX_BYTES.
    """
    settings = quiet_settings()

    async def work(url: str) -> tuple[partitions.MaintenanceResult, int]:
        done = await partitions.maintain(
            url, days_ahead=settings.partition_days_ahead, retention_days=settings.retention_days
        )
        async with connected(url) as connection:
            await overdue.refresh(connection, windows_h(settings))
            _, too_many = await rejected_quota.make_room(connection, settings.rejected_max_bytes)
            too_old = await rejected_quota.drop_old(connection, rejected_days(settings))
        return done, too_many + too_old

    done, rejected = run(with_database(settings, work))
    if as_json:
        click.echo(json.dumps(asdict(done) | {"dropped_rejected": rejected}, indent=2))
    else:
        click.echo(
            f"{done.created} partitions created, {len(done.dropped)} dropped, "
            f"{done.deleted_messages} old messages deleted, "
            f"{rejected} rejected payloads dropped; partitions reach {done.days_left} days ahead."
        )
