"""The first hour's first minute: what `receiver serve` says on a terminal, and what it says next."""

import asyncio
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.embedded import open_folder
from support.terminal import CTRL_C, InTerminal
from support.waiting import eventually

COLOUR = re.compile(r"\x1b\[\d*m")


@pytest.fixture
def base() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.skipif(shutil.which("curl") is None, reason="the command to try is one of curl's")
async def test_the_command_that_it_prints_sends_a_report_that_it_then_shows(base: Path, workers: int) -> None:
    terminal = InTerminal(base, "serve", log_format="console", workers=workers)
    terminal.start()
    try:
        await terminal.told("try it", "stop", "Ctrl-C")
        assert "callback.listening" not in terminal.output
        (command,) = re.findall(r"^ *try it +(curl .*?)\r?$", terminal.output, re.MULTILINE)
        sent = ["bash", "-c", command]
        answered = await asyncio.to_thread(subprocess.run, sent, capture_output=True, timeout=30, check=True)
        assert b"Success" in answered.stdout
        await eventually(lambda: len(re.findall(r"try-it.*\n", terminal.output)) > 1)
        (line,) = [line for line in terminal.output.splitlines() if "try-it" in line and "curl" not in line]
        words = COLOUR.sub("", line).split()
        assert words[1 if workers == 1 else 2 :][:2] == ["huawei", "delivered"]
        terminal.type(CTRL_C)
        assert await terminal.ended() == 0
        assert "service.stopped" in terminal.output
    finally:
        await terminal.gone()
