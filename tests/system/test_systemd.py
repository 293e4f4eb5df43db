"""The units of deploy/systemd: what systemd says of them, and the service under what they ask for."""

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from support import sandbox, units
from support.cases import case
from support.cluster import APPLICATION, Cluster
from support.process import ServiceProcess

from receiver.settings import PREFIX, Settings

SERVICES = ("receiver.service", "receiver@.service", "receiver-migrate.service", "receiver-maintain.service")
LONG_RUNNING = SERVICES[:2]
SYSTEMD = ("systemd-analyze", "systemd", "libsystemd-shared")
GREEN = "20"
"""Tenths: systemd calls less than 5.0 medium, less than 2.0 good."""

SAMPLE = case("huawei/single-vendor-sample")
Program = Callable[..., list[str]]


@pytest.fixture
def analyze(program: Program) -> Callable[..., str]:
    """Run systemd-analyze; what it prints. AssertionError where it finds fault."""
    command = program(*SYSTEMD)

    def run(*arguments: str | Path, **environ: str) -> str:
        call = ["env", *(f"{name}={value}" for name, value in environ.items()), *command, *map(str, arguments)]
        done = subprocess.run(call, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    return run


def test_systemd_has_nothing_to_say_against_the_units(analyze: Callable[..., str], tmp_path: Path) -> None:
    copies = units.installed_at(Path(sys.executable).with_name("receiver"), tmp_path)
    names = [copy.with_name(copy.name.replace("@.", "@1.")) for copy in copies]
    analyze("verify", "--man=no", "--recursive-errors=no", *names, SYSTEMD_UNIT_PATH=f"{tmp_path}:")


@pytest.mark.parametrize("unit", SERVICES)
def test_the_exposure_is_in_the_green(analyze: Callable[..., str], unit: str) -> None:
    said = analyze("security", "--offline=true", "--no-pager", f"--threshold={GREEN}", units.FOLDER / unit)
    assert "Overall exposure level" in said


def test_every_unit_is_confined_alike() -> None:
    assert len({units.hardening(unit) for unit in SERVICES}) == 1


@pytest.mark.parametrize("unit", LONG_RUNNING)
def test_systemd_waits_longer_than_the_service_takes_to_stop(unit: str) -> None:
    defaults = Settings(_env_file=None)
    (given,) = units.settings(unit)["TimeoutStopSec"]
    assert float(given) > defaults.shutdown_delay_s + defaults.drain_delay_s + 2 * defaults.shutdown_timeout_s + 10


def allowed(analyze: Callable[..., str], unit: str) -> set[str]:
    """The system calls that the unit's filter lets through."""

    def expanded(group: str) -> set[str]:
        lines = {line.strip() for line in analyze("syscall-filter", "--no-pager", group).splitlines()[1:]}
        names = {line for line in lines if line and not line.startswith("#")}
        return names.union(*(expanded(name) for name in names if name.startswith("@")))

    calls = expanded("@default")
    for groups in units.settings(unit)["SystemCallFilter"]:
        for group in groups.removeprefix("~").split():
            calls = calls - expanded(group) if groups.startswith("~") else calls | expanded(group)
    return calls


@pytest.fixture
async def traced(reachable: Cluster, open_folder: Path) -> AsyncIterator[tuple[ServiceProcess, Path]]:
    """An instance of receiver@.service in a sandbox, and where strace notes its system calls."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    folder = open_folder / "systemd"
    state = folder / "lib"
    state.mkdir(parents=True)
    try:
        confined = sandbox.prefix(state)
    except sandbox.NoSandboxError as error:
        pytest.skip(str(error))
    given = units.environment("receiver@.service", S=str(state), i="1")
    settings = {name.removeprefix(PREFIX).lower(): value for name, value in given.items()}
    del settings["ops_port"]  # for another test may run beside this one
    url = reachable.url(await reachable.new_database(), user=APPLICATION)
    service = ServiceProcess(folder, **(settings | {"database_url": url}))
    trace = state / "trace"
    # -D: strace is the one beside, so that what we start and stop is the service.
    try:
        await service.start(*confined, "strace", "-D", "-f", "-qq", "-o", str(trace))
        yield service, trace
    finally:
        if service.alive:
            await service.kill()


async def test_the_service_needs_nothing_that_its_unit_forbids(
    analyze: Callable[..., str], traced: tuple[ServiceProcess, Path]
) -> None:
    service, trace = traced
    async with aiohttp.ClientSession() as client:
        async with client.post(service.url + SAMPLE.path, data=SAMPLE.body, headers=SAMPLE.headers) as answer:
            assert answer.status == 200, service.tail()
        async with client.get(f"http://127.0.0.1:{service.ops_port}/metrics") as answer:
            assert "receiver_process_open_fds" in await answer.text(), "/proc is read for this"
    assert await service.terminate() == 0
    assert service.noise() == []
    lines = (await asyncio.to_thread(trace.read_text, errors="replace")).splitlines()
    # What came before is the program that started it.
    begin = next(number for number, line in enumerate(lines) if "execve(" in line)
    lines = lines[begin:]
    called = {match[1] for line in lines if (match := re.match(r"\d+ +(\w+)\(", line))}
    assert {"fdatasync", "bind", "clone3"} & called, "the trace shows the service at work"
    assert called - allowed(analyze, "receiver@.service") == set()
    executable = [line for line in lines if "PROT_EXEC" in line and ("PROT_WRITE" in line or " mprotect(" in line)]
    assert executable == [], "MemoryDenyWriteExecute"
    families = set(units.settings("receiver@.service")["RestrictAddressFamilies"][0].split())
    opened = {match[1] for line in lines if (match := re.search(r" socket\((AF_\w+)", line))}
    assert opened <= families
