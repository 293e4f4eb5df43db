"""`receiver export`: lists as files, of any length."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

import click

from receiver.cli.asking import filter_options, filters_of, refused, with_reader
from receiver.cli.common import quiet_settings, run
from receiver.cli.progress import progress
from receiver.errors import OperatorError
from receiver.reading import export as exporting
from receiver.reading.filters import FilterError, Filters
from receiver.reading.formats import FORMATS, Format
from receiver.reading.reader import PAGE, Reader
from receiver.telemetry.visible import visible

_SUFFIXES: Final[dict[str, Format]] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}


@click.command()
@click.argument("what", type=click.Choice(exporting.KINDS))
@filter_options()
@click.option(
    "--format", "wanted", type=click.Choice(FORMATS), help="Default: by the end of the file's name, else csv."
)
@click.option(
    "--out", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write; without it: stdout."
)
@click.option("--masked", is_flag=True, help="With phone numbers masked.")
def export(what: str, *, wanted: Format | None, out: Path | None, masked: bool, **given: Any) -> None:
    """Write reports, messages, replies, rejected payloads or overdue messages, the oldest first.

    Of the last day, unless --since says otherwise; of a number, an id or a correlation, and of what is rejected or
    overdue, of the last month. A cell of a CSV that a spreadsheet would take for a formula gets an apostrophe before
    it. The file is there when it is whole, or not at all.
    """
    filters = filters_of(given)
    try:
        exporting.check(what, filters)
    except FilterError as error:
        raise refused(error) from None
    chosen = wanted or _SUFFIXES.get(out.suffix.lower() if out else "", "csv")
    settings = quiet_settings()
    stream = _stream(out)

    async def work(reader: Reader) -> int:
        with _output(out, stream) as file:
            return await _write(reader, file, what, filters, chosen, masked=masked)

    rows = run(with_reader(settings, work))
    if not rows or out:
        click.echo(f"{rows:,} {what}", err=True)


async def _write(reader: Reader, file: IO[bytes], what: str, filters: Filters, wanted: Format, *, masked: bool) -> int:
    now = datetime.now(UTC)
    escape = file.isatty()
    with progress(what, output=file) as shown:
        if shown.shown:
            shown.stage(what, await exporting.expected(reader, what, filters, now=now))
        rows = 0
        async with exporting.exporting(reader, what, filters, wanted, now=now, masked=masked, page=PAGE) as chunks:
            async for chunk in chunks:
                file.write(visible(chunk.data.decode(), keep="\r\n").encode() if escape else chunk.data)
                rows += chunk.rows
                shown.advance(chunk.rows)
        file.flush()
        return rows


def _stream(out: Path | None) -> IO[bytes] | None:
    """What is written to as it comes: the standard output, a pipe or a device; None for a file.

    A pipe with a name waits for its reader here, before there is a loop: within one, Ctrl-C would not end it.
    """
    if out is None or str(out) == "-":
        return sys.stdout.buffer
    with _named(out):
        return out.open("wb") if out.exists() and not out.is_file() else None


@contextmanager
def _output(out: Path | None, stream: IO[bytes] | None) -> Iterator[IO[bytes]]:
    """The stream, or a file that takes its name when the block ends well."""
    if out is None or stream is sys.stdout.buffer:
        yield sys.stdout.buffer
        return
    with _named(out), stream or _file(out) as file:
        yield file


@contextmanager
def _file(out: Path) -> Iterator[IO[bytes]]:
    if not out.parent.is_dir():
        raise OperatorError(f"--out: there is no folder {out.parent}")
    place = Path(os.path.realpath(out))  # a link stays one; /dev/stdout is one
    with tempfile.NamedTemporaryFile(dir=place.parent, prefix=".receiver-export-", delete=False) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(place)
        finally:
            with suppress(FileNotFoundError):
                Path(file.name).unlink()


@contextmanager
def _named(out: Path) -> Iterator[None]:
    """Errors of the file with its name; that nobody reads a pipe any more is none."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OperatorError(f"--out: {out} cannot be written: {error.strerror or error}") from error
