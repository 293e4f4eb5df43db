"""`receiver spool`: what waits on the local disk for PostgreSQL. A running service has the file, so it is asked."""

import json
from collections.abc import Callable
from typing import BinaryIO

import click

from receiver.cli.common import quiet_settings, run
from receiver.settings import Settings
from receiver.store.spool_file import FILE_NAME, SpoolFile, SpoolInUse, as_line

_PAGE = 500

Write = Callable[[bytes], object]


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def spool(context: click.Context, *, as_json: bool) -> None:
    """Show how much waits in the spool: callbacks, the oldest one's arrival, bytes of its file."""
    if context.invoked_subcommand is not None:
        return
    depth = _depth(quiet_settings())
    if as_json:
        click.echo(json.dumps(depth, indent=2))
        return
    click.echo(f"callbacks   {depth['callbacks']}")
    click.echo(f"oldest      {depth['oldest'] or '-'}")
    click.echo(f"file        {depth['file_bytes']} bytes")


@spool.command()
@click.option("--output", type=click.File("wb"), default="-", help="File to write to; - is the standard output.")
def export(output: BinaryIO) -> None:
    """Write every callback in the spool as a line of JSON.

    The oldest comes first; bodies are in base64.
    """
    if not _export(quiet_settings(), output.write):
        click.echo("The spool is empty.", err=True)


def _depth(settings: Settings) -> dict[str, object]:
    if not _file_of(settings):
        return {"callbacks": 0, "oldest": None, "file_bytes": 0}
    try:
        file = SpoolFile(settings.data_dir / "spool", settings.spool_max_bytes)
    except SpoolInUse:
        return run(_ask_depth(settings))
    depth = file.depth()
    file.close()
    return depth.as_dict()


def _export(settings: Settings, write: Write) -> int:
    """How many bytes were written."""
    if not _file_of(settings):
        return 0
    try:
        file = SpoolFile(settings.data_dir / "spool", settings.spool_max_bytes)
    except SpoolInUse:
        return run(_ask_export(settings, write))
    after = written = 0
    while page := file.read(_PAGE, after):
        for number, callback in page:
            line = as_line(number, callback)
            write(line)
            written += len(line)
            after = number
    file.close()
    return written


def _file_of(settings: Settings) -> bool:
    return (settings.data_dir / "spool" / FILE_NAME).exists()


async def _ask_depth(settings: Settings) -> dict[str, object]:
    from receiver.cli.running_service import asked  # noqa: PLC0415 - the disk alone is read without aiohttp

    async with asked(settings, "/spool") as response:
        depth: dict[str, object] = await response.json()
        return depth


async def _ask_export(settings: Settings, write: Write) -> int:
    from receiver.cli.running_service import asked  # noqa: PLC0415 - see above

    written = 0
    async with asked(settings, "/spool/export") as response:
        async for chunk in response.content.iter_any():
            write(chunk)
            written += len(chunk)
    return written
