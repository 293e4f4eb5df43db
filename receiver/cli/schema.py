"""The commands that change the database's schema: `migrate`, `maintain`."""

import json
from dataclasses import asdict

import click

from receiver.cli.common import quiet_settings, run, with_database
from receiver.cli.progress import progress
from receiver.errors import OperatorError
from receiver.storage import rejected_days, windows_h
from receiver.store import catalogue_table, distributing
from receiver.store import schema as migrations
from receiver.store.maintenance import counts, overdue, partitions, rejected_quota
from receiver.store.maintenance.periodic import connected
from receiver.store.racing import Refusal
from receiver.store.timelines import Timelines, load
from receiver.store.told import Told
from receiver.store.watching import Backend, watched


@click.command()
@click.option("--distributed", is_flag=True, help="Distribute the tables over the nodes of a Citus cluster.")
@click.option(
    "--shards",
    type=click.IntRange(1, 1024),
    default=distributing.SHARDS,
    show_default=True,
    help="Into how many pieces each table is distributed, if it is not yet.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def migrate(*, distributed: bool, shards: int, as_json: bool) -> None:
    """Bring the database's schema and code tables up to date.

    Takes the schema's owner. All is one transaction: after an error nothing has changed. On a terminal it shows how far
    it is, and what it waits for. A schema that is distributed on Citus stays so, without --distributed.
    """
    settings = quiet_settings()
    refused = Timelines(load(settings.data_dir)).judge

    async def work(url: str) -> str:
        return await _migrate(url, shown, shards if distributed else None, refused)

    with progress("connecting") as shown:
        at = run(with_database(settings, work))
    newer = "" if at == migrations.head() else ", a newer version's, on which this one runs"
    click.echo(json.dumps({"schema": at}, indent=2) if as_json else f"The schema is at {at}{newer}.")


async def _migrate(url: str, told: Told, shards: int | None, refused: Refusal) -> str:
    """The revision that the schema is at."""
    at = await migrations.upgrade(url, told, shards, refused)
    if at != migrations.head():  # and so may be the code tables
        return at
    connection = await migrations.connect(url, refused)
    told.stage("code tables")
    await catalogue_table.sync(connection)
    await connection.close()
    return at


@click.command()
@click.option(
    "--patience",
    "patience_s",
    default=600.0,
    metavar="SECONDS",
    show_default=True,
    help="How long to try to drop partitions that a query reads.",
)
@click.option("--recount", is_flag=True, help="Count all messages anew, and put the counts by the hour right.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def maintain(*, patience_s: float, recount: bool, as_json: bool) -> None:
    """Create the coming days' partitions and drop what is older than RECEIVER_RETENTION_DAYS.

    To drop takes a member of sms_owner. A partition that a query reads is tried again until the patience ends; then the
    exit code is 1, and everything else is done. It is 1 too where a recount found a difference. Rejected payloads are
    brought within RECEIVER_REJECTED_DAYS and RECEIVER_REJECTED_MAX_BYTES.
    """
    settings = quiet_settings()
    refused = Timelines(load(settings.data_dir)).judge

    async def work(url: str) -> tuple[partitions.MaintenanceResult, int, int | None]:
        done = await partitions.maintain(
            url,
            days_ahead=settings.partition_days_ahead,
            retention_days=settings.retention_days,
            counts_days=settings.counts_days,
            patience_s=patience_s,
            told=shown,
            refused=refused,
        )
        async with connected(url, refused) as connection:
            shown.stage("overdue messages")
            await overdue.refresh(connection, windows_h(settings))
            shown.stage("rejected payloads")
            _, too_many = await rejected_quota.make_room(connection, settings.rejected_max_bytes)
            too_old = await rejected_quota.drop_old(connection, rejected_days(settings))
            shown.stage("counts by the hour")
            backend = Backend("counts by the hour", connection.get_server_pid())
            async with watched(lambda: migrations.connect(url), backend, shown):
                wrong = await counts.recount(connection) if recount else None
            await counts.fold(connection)
        return done, too_many + too_old, wrong

    with progress("connecting") as shown:
        done, rejected, wrong = run(with_database(settings, work))
    if as_json:
        click.echo(json.dumps(asdict(done) | {"dropped_rejected": rejected, "wrong_counts": wrong}, indent=2))
    else:
        click.echo(
            f"{done.created} partitions created, {len(done.dropped)} dropped, "
            f"{done.deleted_messages} old messages deleted, "
            f"{rejected} rejected payloads dropped; partitions reach {done.days_left} days ahead."
        )
    if wrong:
        raise OperatorError(f"{wrong} of the counts by the hour were wrong: they are right now")
    if done.left:
        raise OperatorError(f"{partitions.still_read(done.left)}: end it, or run `receiver maintain` again later")
