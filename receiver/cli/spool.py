"""`receiver spool`: callbacks on the local disk that wait for PostgreSQL. A running service, which locks the file, is
queried over HTTP.
"""

import json
from collections.abc import Callable
from typing import BinaryIO

import click

from receiver.cli.common import quiet_settings, run
from receiver.settings import Settings, variable
from receiver.store.spool_errors import SpoolInUse, SpoolUnusable
from receiver.store.spool_file import SpoolFile, as_line
from receiver.store.spool_open import FILE_NAME

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
    _export(quiet_settings(), output.write)


def _depth(settings: Settings) -> dict[str, object]:
    try:
        file = _open(settings)
    except SpoolInUse:
        return run(_ask_depth(settings))
    if file is None:
        return {"callbacks": 0, "oldest": None, "file_bytes": 0}
    depth = file.depth()
    file.close()
    return depth.as_dict()


def _export(settings: Settings, write: Write) -> None:
    try:
        file = _open(settings)
    except SpoolInUse:
        _note_if_empty(run(_ask_export(settings, write)))
        return
    if file is None:
        return
    after = 0
    while page := file.read(_PAGE, after):
        for number, callback in page:
            write(as_line(number, callback))
            after = number
    file.close()
    _note_if_empty(after)


def _open(settings: Settings) -> SpoolFile | None:
    """The spool's file; None, with a note on stderr, if there is none. Raises SpoolInUse, SpoolUnusable."""
    folder = settings.data_dir / "spool"
    try:
        (folder / FILE_NAME).stat()
    except FileNotFoundError:
        click.echo(f"There is no spool in {variable('data_dir')}={settings.data_dir}.", err=True)
        return None
    except OSError as error:
        raise SpoolUnusable(folder, error) from error
    return SpoolFile(folder, settings.spool_max_bytes)


def _note_if_empty(written: int) -> None:
    if not written:
        click.echo("The spool is empty.", err=True)


async def _ask_depth(settings: Settings) -> dict[str, object]:
    from receiver.cli.running_service import ops_response  # noqa: PLC0415 - the disk alone is read without aiohttp

    async with ops_response(settings, "/spool") as response:
        depth: dict[str, object] = await response.json()
        return depth


async def _ask_export(settings: Settings, write: Write) -> int:
    """Write the service's spool as lines of JSON; returns the number of bytes."""
    from receiver.cli.running_service import ops_response  # noqa: PLC0415 - see above

    written = 0
    async with ops_response(settings, "/spool/export") as response:
        async for chunk in response.content.iter_any():
            write(chunk)
            written += len(chunk)
    return written
