"""`receiver spool`: what waits on the local disk for PostgreSQL. A running service has the file, so it is asked."""

import json
from collections.abc import Callable
from typing import BinaryIO

import aiohttp
import click

from receiver.cli.common import errors, quiet_settings, run
from receiver.settings import Settings
from receiver.store.spoolfile import FILE_NAME, SpoolFile, SpoolInUse, as_line

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=30)
_PAGE = 500

Write = Callable[[bytes], object]


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def spool(context: click.Context, *, as_json: bool) -> None:
    """Show how much waits in the spool: callbacks, the oldest one's arrival, bytes of its file."""
    if context.invoked_subcommand is not None:
        return
    with errors():
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
    """Write every callback in the spool as a line of JSON, oldest first; the body is in base64."""
    with errors():
        _export(quiet_settings(), output.write)


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


def _export(settings: Settings, write: Write) -> None:
    if not _file_of(settings):
        return
    try:
        file = SpoolFile(settings.data_dir / "spool", settings.spool_max_bytes)
    except SpoolInUse:
        run(_ask_export(settings, write))
        return
    after = 0
    while page := file.read(_PAGE, after):
        for number, callback in page:
            write(as_line(number, callback))
            after = number
    file.close()


def _file_of(settings: Settings) -> bool:
    return (settings.data_dir / "spool" / FILE_NAME).exists()


async def _ask_depth(settings: Settings) -> dict[str, object]:
    async with _client(settings) as client, client.get("/spool") as response:
        response.raise_for_status()
        depth: dict[str, object] = await response.json()
        return depth


async def _ask_export(settings: Settings, write: Write) -> None:
    async with _client(settings) as client, client.get("/spool/export") as response:
        response.raise_for_status()
        async for chunk in response.content.iter_any():
            write(chunk)


def _client(settings: Settings) -> aiohttp.ClientSession:
    """Of the running service's ops listener."""
    url = f"http://{settings.ops_host}:{settings.ops_port}"
    token = settings.ops_token.get_secret_value() if settings.ops_token else None
    return aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {token}"} if token else None, timeout=_TIMEOUT)
