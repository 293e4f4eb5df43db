"""Many runs of `receiver` for the price of one start: a process that has imported it, and forks for each command."""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from receiver.settings import PREFIX
from support.command import DEADLINE_S, Ended, environ_of

_SERVER = """
import gc, importlib, json, os, pkgutil, sys, traceback
import receiver
from receiver.__main__ import main

for module in pkgutil.walk_packages(receiver.__path__, "receiver."):
    importlib.import_module(module.name)
gc.freeze()
for line in sys.stdin:
    asked = json.loads(line)
    if not (child := os.fork()):
        os.chdir(asked["folder"])
        os.environ.update(asked["environ"])
        for number, name in enumerate(("/dev/null", "out", "err")):
            os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), number)
        code = 1
        try:
            sys.argv = ["receiver", *asked["arguments"]]
            main()
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)  # taking a whole interpreter apart costs more than most commands
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Commands:
    """Each run is a process with an empty folder and no settings but those that are given, by field name."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process = process
        self._folder = folder

    async def run(self, *arguments: str, **settings: object) -> Ended:
        environ = {f"{PREFIX}{name.upper()}": str(value) for name, value in settings.items()}
        asked = {"arguments": arguments, "environ": environ, "folder": str(self._folder)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        async with asyncio.timeout(DEADLINE_S):
            code = int(await self._process.stdout.readline())
        out, err = ((self._folder / name).read_text(encoding="utf-8") for name in ("out", "err"))
        return Ended(code, out, err)


@asynccontextmanager
async def commands() -> AsyncIterator[Commands]:
    with tempfile.TemporaryDirectory(prefix="receiver-commands-") as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _SERVER),
            cwd=folder,
            env=environ_of(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            yield Commands(process, Path(folder))
        finally:
            process.kill()
            await process.wait()
