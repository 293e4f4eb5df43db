"""Programs that are measured beside this tree's: an older tree's receiver, and a peer in another language."""

import asyncio
import os
import shutil
import sys
import tarfile
from asyncio.subprocess import PIPE, STDOUT
from io import BytesIO
from pathlib import Path
from typing import Final

import click

from bench import servers
from bench.servers import RECEIVER, Program

BASE: Final = "receiver-base"
PEER: Final = "fastify"

CHECKOUT: Final = Path(__file__).parents[2]
_SCRIPT: Final = Path(__file__).with_name("fastify.mjs")
_PACKAGES: Final = ("fastify@5", "pg@8")
_INSTALL_S: Final = 120.0


async def add_base(commit: str, folder: Path) -> Program:
    """The receiver at that commit, with the interpreter and the packages of this environment."""
    await unpack(commit, folder)
    base = Program([sys.executable, *RECEIVER], folder)
    servers.PROGRAMS[BASE] = base
    return base


async def unpack(commit: str, folder: Path) -> None:
    """The tree of that commit, into the folder."""
    archive = await _output("git", "-C", str(CHECKOUT), "archive", commit)
    with tarfile.open(fileobj=BytesIO(archive)) as tree:
        tree.extractall(folder, filter="data")


async def prepare(base: Program, url: str) -> None:
    """Give the database the base's own schema and partitions."""
    for command in ("migrate", "maintain"):
        environment = {**os.environ, "PYTHONPATH": str(base.code), "RECEIVER_DATABASE_URL": url}
        await _output(*base.command[:-1], command, cwd=base.code, env=environment)


async def add_peer(folder: Path) -> None:
    """The peer, where npm is at hand and its packages can be had."""
    if not (shutil.which("npm") and shutil.which("node")):
        click.echo("without Fastify + pg: there is no npm", err=True)
        return
    await asyncio.to_thread(_copy_script, folder)
    install = ("npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder))
    try:
        async with asyncio.timeout(_INSTALL_S):
            await _output(*install, *_PACKAGES)
    except (RuntimeError, TimeoutError) as error:
        click.echo(f"without Fastify + pg: {error or 'npm takes too long'}", err=True)
        return
    servers.PROGRAMS[PEER] = Program(["node", str(folder / _SCRIPT.name), "{port}", "{url}"])


def _copy_script(folder: Path) -> None:
    folder.mkdir()
    shutil.copy(_SCRIPT, folder)


async def _output(*command: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> bytes:
    errors = STDOUT if command[0] == "npm" else PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd, env=env, stdout=PIPE, stderr=errors)
    output, said = await process.communicate()
    if process.returncode:
        last = (said or output).decode(errors="replace").strip().splitlines()[-1:]
        raise RuntimeError(f"{' '.join(command[:2])} failed: {' '.join(last)}")
    return output
