"""`receiver spool`: callbacks on the local disk that wait for PostgreSQL. A running service, which locks the file, is
queried over HTTP.
"""

import json
from typing import BinaryIO

import click

from receiver.cli.common import quiet_settings, run
from receiver.cli.progress import progress
from receiver.settings import Settings, variable
from receiver.store import spool_folders
from receiver.store.spool_errors import SpoolInUse, SpoolUnusable
from receiver.store.spool_file import SpoolFile, as_line, total
from receiver.store.spool_open import FILE_NAME

_PAGE = 500


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
@click.option(
    "--output", "--out", type=click.File("wb"), default="-", help="File to write to; - is the standard output."
)
def export(output: BinaryIO) -> None:
    """Write every callback in the spool as a line of JSON.

    The oldest comes first, of each worker by itself; bodies are in base64.
    """
    output.writable()  # opens it: a path that is wrong is told even where the spool is empty
    _export(quiet_settings(), output)


def _depth(settings: Settings) -> dict[str, object]:
    try:
        files = _open(settings)
    except SpoolInUse:
        return run(_ask_depth(settings))
    depth = total(file.depth() for file in files)
    for file in files:
        file.close()
    return depth.as_dict()


def _export(settings: Settings, output: BinaryIO) -> None:
    try:
        files = _open(settings)
    except SpoolInUse:
        _note_if_empty(run(_ask_export(settings, output)))
        return
    written = 0
    with progress("callbacks", sum(file.depth().callbacks for file in files), output=output) as shown:
        for file in files:
            after = 0
            while page := file.read(_PAGE, after):
                for number, callback in page:
                    output.write(as_line(number, callback))
                    after = number
                written += len(page)
                shown.advance(len(page))
            file.close()
    if files:
        _note_if_empty(written)


def _open(settings: Settings) -> list[SpoolFile]:
    """As `open_files`; with a note on stderr, if there are none."""
    files = open_files(settings)
    if not files:
        click.echo(f"There is no spool in {variable('data_dir')}={settings.data_dir}.", err=True)
    return files


def open_files(settings: Settings) -> list[SpoolFile]:
    """The spools' files; none if there are none. Raises SpoolInUse, SpoolUnusable."""
    folder = spool_folders.main_folder(settings.data_dir)
    try:
        (folder / FILE_NAME).stat()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SpoolUnusable(folder, error) from error
    folders = [folder, *spool_folders.worker_folders(settings.data_dir).values()]
    return [SpoolFile(one, settings.spool_max_bytes) for one in folders]


def _note_if_empty(written: int) -> None:
    if not written:
        click.echo("The spool is empty.", err=True)


async def _ask_depth(settings: Settings) -> dict[str, object]:
    from receiver.cli.running_service import ops_response  # noqa: PLC0415 - the disk alone is read without aiohttp

    async with ops_response(settings, "/spool") as response:
        depth: dict[str, object] = await response.json()
        return depth


async def _ask_export(settings: Settings, output: BinaryIO) -> int:
    """Write the service's spool as lines of JSON; returns the number of bytes."""
    from receiver.cli.running_service import ops_response  # noqa: PLC0415 - see above

    written = 0
    with progress("callbacks", output=output) as shown:
        async with ops_response(settings, "/spool/export") as response:
            async for chunk in response.content.iter_any():
                output.write(chunk)
                written += len(chunk)
                shown.advance(chunk.count(b"\n"))
    return written
