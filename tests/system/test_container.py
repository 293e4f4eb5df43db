"""The image without a container engine: linted, built by hand in a clean folder, and run as it would be."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import asyncpg
import pytest
from support import dockerfile, sandbox, tools
from support.cases import case
from support.cluster import APPLICATION, Cluster, free_port
from support.command import CHECKOUT
from support.databases import connected, with_database
from support.waiting import eventually

from receiver import embedded
from receiver.embedded.account import Account
from receiver.embedded.binaries import usable_binaries
from receiver.store import schema as migrate

FOLDER = CHECKOUT / "deploy" / "container"
COMPOSE = FOLDER / "compose.yaml"
SAMPLE = case("huawei/single-vendor-sample")
STOP_S = 30.0


def test_hadolint_has_nothing_to_say() -> None:
    assert tools.check("hadolint", dockerfile.FILE) == ""


def test_everything_that_is_copied_may_go_to_the_engine() -> None:
    """.dockerignore names what is left in; a COPY of anything else would fail."""
    ignored, *kept = [
        line for line in (CHECKOUT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] != "#"
    ]
    copies = [step.words[:-1] for step in dockerfile.stages()[0] if step.name == "COPY"]
    assert ignored == "*"
    assert {f"!{source}" for sources in copies for source in sources} == {line for line in kept if line[0] == "!"}


def test_the_compose_file_is_one() -> None:
    tools.check("check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)
    (compose,) = tools.documents(COMPOSE)
    services = compose["services"]
    for name in ("receiver", "migrate", "maintain"):
        assert services[name]["read_only"]
        assert services[name]["cap_drop"] == ["ALL"]
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:8080:8080"], "neither PostgreSQL nor the ops listener"
    files = {file for service in services.values() for file in service["env_file"]}
    assert files == {file.name.removesuffix(".example") for file in FOLDER.glob("*.example")}


@pytest.fixture(scope="module")
def image(open_folder: Path) -> Path:
    """What the first stage makes."""
    root = open_folder / "image"
    root.mkdir()
    dockerfile.build(root)
    state = root / "var" / "lib" / "receiver"
    state.mkdir(parents=True)
    return root


def confined(image: Path, *command: str) -> list[str]:
    """As a container with a read-only root runs it: unprivileged, with the volume alone to write to."""
    try:
        return [*sandbox.prefix(image / "var" / "lib" / "receiver"), *command]
    except sandbox.NoSandboxError as error:
        pytest.skip(str(error))


def environ(image: Path, **settings: object) -> dict[str, str]:
    given = dockerfile.environment(dockerfile.stages()[-1], image)
    return given | {f"RECEIVER_{name.upper()}": str(value) for name, value in settings.items()}


def run(image: Path, *command: str, **settings: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        confined(image, *command),
        cwd="/",
        env=environ(image, **settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def entrypoint() -> list[str]:
    return dockerfile.only(dockerfile.stages()[-1], "ENTRYPOINT").words


def healthy(image: Path, ops_port: int) -> bool:
    """What the image's health check says."""
    check = dockerfile.only(dockerfile.stages()[-1], "HEALTHCHECK").arguments
    words = dockerfile.Step("CMD", check.partition(" CMD ")[2].strip()).words
    assert words[0] == "python"
    return run(image, *words, ops_port=ops_port).returncode == 0


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_the_command_is_there(image: Path, option: str) -> None:
    done = run(image, *entrypoint(), option)
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_but_the_lock_and_the_wheel_is_installed(image: Path) -> None:
    listed = subprocess.run(
        [image / "opt/build/bin/pip", "--python", image / "opt/receiver/bin/python", "list", "--format=freeze"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    locked = (CHECKOUT / "deploy" / "requirements.txt").read_text(encoding="utf-8")
    pins = {line.split()[0].lower().replace("_", "-") for line in locked.splitlines() if "==" in line}
    found = {line.lower().replace("_", "-") for line in listed.splitlines()}
    assert {line.partition("==")[0] for line in found - pins} == {"delivery-report-receiver"}


@asynccontextmanager
async def container(image: Path, **settings: object) -> AsyncIterator["asyncio.subprocess.Process"]:
    command = dockerfile.only(dockerfile.stages()[-1], "CMD").words
    process = await asyncio.create_subprocess_exec(
        *confined(image, *entrypoint(), *command), cwd="/", env=environ(image, **settings)
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_it_migrates_serves_is_healthy_and_stops(image: Path, reachable: Cluster) -> None:
    await reachable.administrate("CREATE DATABASE by_container")
    owner, writer = (reachable.url("by_container", **role) for role in ({}, {"user": APPLICATION}))
    migrated = await asyncio.to_thread(run, image, *entrypoint(), "migrate", database_url=owner)
    assert (migrated.returncode, migrated.stderr) == (0, "")
    port, ops_port = free_port(), free_port()
    async with container(image, database_url=writer, port=port, ops_port=ops_port) as process:
        await eventually(lambda: asyncio.to_thread(healthy, image, ops_port))
        async with (
            aiohttp.ClientSession() as client,
            client.post(f"http://127.0.0.1:{port}{SAMPLE.path}", data=SAMPLE.body, headers=SAMPLE.headers) as answer,
        ):
            assert answer.status == 200
        process.terminate()
        assert await asyncio.wait_for(process.wait(), STOP_S) == 0
    assert not await asyncio.to_thread(healthy, image, ops_port)
    async with connected(reachable.socket_url("by_container")) as sql:
        assert await sql.fetchval("SELECT count(*) FROM sms.delivery_report") == 1


async def test_the_database_script_makes_logins_that_do_their_part_and_no_more(open_folder: Path) -> None:
    account = Account(os.geteuid(), os.getegid(), drop=False)
    programs = await usable_binaries(open_folder, account)
    async with embedded.running(open_folder / "by-script") as server:
        parts = urlsplit(server.url)
        environ = {
            "PATH": f"{programs}:{os.defpath}",
            "PGHOST": dict(parse_qsl(parts.query))["host"],
            "POSTGRES_USER": parts.username or "",
            "POSTGRES_DB": "postgres",
            "OWNER_PASSWORD": "one",
            "WRITER_PASSWORD": "two",
            "READER_PASSWORD": "three",
        }
        command = ["/bin/sh", str(FOLDER / "database.sh")]
        done = await asyncio.to_thread(subprocess.run, command, env=environ, capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")
        url = with_database(server.url, "postgres")
        async with connected(url) as sql:
            assert not await sql.fetchval("SELECT has_database_privilege('sms_dashboard', 'template1', 'CONNECT')")
        logins = ("sms_migrate", "sms_receiver", "sms_dashboard")
        owner, writer, reader = (url.replace(f"//{parts.username}@", f"//{login}@") for login in logins)
        await migrate.upgrade(owner)
        async with connected(writer) as sql:
            assert await sql.fetchval("SELECT count(*) FROM sms.delivery_report") == 0
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await sql.execute("DROP TABLE sms_data.report")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await sql.execute("CREATE SCHEMA mine")
        async with connected(reader) as sql:
            assert await sql.fetchval("SELECT count(*) FROM sms.delivery_report") == 0
            assert await sql.fetchval("SHOW statement_timeout") == "1min"
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await sql.fetchval("SELECT count(*) FROM sms_data.report")
