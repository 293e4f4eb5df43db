"""Every command, with what an operator may get wrong: one line that names the setting, and no secret."""

import socket
from pathlib import Path

import pytest
from support.cluster import free_port
from support.command import receiver
from support.databases import administrate, connected, with_database
from support.preloaded import Commands

SECRET = "hunter2-hunter2"
TALKING = (("migrate",), ("maintain",), ("rejected", "list"), ("rejected", "purge", "--yes"))
"""Commands that talk to PostgreSQL."""


async def test_a_database_that_is_away(tmp_path: Path, commands: Commands) -> None:
    """The first one as an operator starts it: a process of its own."""
    port = free_port()
    url = f"postgresql://sms:{SECRET}@127.0.0.1:{port}/sms"
    ends = [await receiver(*TALKING[0], folder=tmp_path, database_url=url)]
    for ended in [*ends, *[await commands.run(*command, database_url=url) for command in TALKING[1:]]]:
        assert ended.complaint.startswith(f"RECEIVER_DATABASE_URL: 127.0.0.1:{port} refused the connection: ")
        assert SECRET not in ended.err


WRONG_URLS = {
    "no such host": ("postgresql://sms:{secret}@nowhere.invalid/sms", "no address is known for nowhere.invalid"),
    "no such socket": ("postgresql://sms:{secret}@/sms?host=/nowhere", "there is no socket in /nowhere"),
    "no such mode of TLS": ("postgresql://sms:{secret}@db/sms?sslmode=maybe", "`sslmode` parameter must be one of"),
    "no such file": ("postgresql://sms:{secret}@db/sms?sslmode=verify-full&sslrootcert=/nowhere", "correct the path"),
    "ports for others": ("postgresql://sms:{secret}@/sms?host=a,b&port=1,2,3", "could not match 3 port numbers"),
}


@pytest.mark.parametrize("wrong", WRONG_URLS)
async def test_a_url_that_leads_nowhere(commands: Commands, wrong: str) -> None:
    url, told = WRONG_URLS[wrong]
    ended = await commands.run("migrate", database_url=url.format(secret=SECRET))
    assert ended.complaint.startswith("RECEIVER_DATABASE_URL: ")
    assert told in ended.complaint
    assert SECRET not in ended.err


async def test_a_service_does_not_start_with_a_url_that_cannot_be_used(tmp_path: Path, commands: Commands) -> None:
    url = f"postgresql://sms:{SECRET}@127.0.0.1/sms?sslmode=maybe"
    ended = await commands.run("serve", database_url=url, port=0, ops_port=0, data_dir=tmp_path / "data")
    assert ended.err.startswith("Error: RECEIVER_DATABASE_URL: cannot be used (`sslmode`")


async def test_a_database_that_is_not_there_or_has_no_schema(
    cluster: str, empty_database: str, commands: Commands
) -> None:
    ended = await commands.run("rejected", "list", database_url=with_database(cluster, "nosuch"))
    assert "has no database nosuch" in ended.complaint
    for command in TALKING[1:]:
        assert "run `receiver migrate`" in (await commands.run(*command, database_url=empty_database)).complaint


async def test_a_login_that_may_not(cluster: str, database: str, commands: Commands) -> None:
    await administrate(cluster, "CREATE ROLE looks_on LOGIN IN ROLE sms_reader")
    try:
        for command in TALKING:
            ended = await commands.run(*command, database_url=database.replace("//postgres@", "//looks_on@"))
            assert ended.complaint.startswith("RECEIVER_DATABASE_URL: looks_on may not do this in database test_")
    finally:
        async with connected(database) as sql:
            await sql.execute("DROP OWNED BY looks_on")
        await administrate(cluster, "DROP ROLE looks_on")


async def test_a_data_folder_that_is_a_file(tmp_path: Path, commands: Commands) -> None:
    (tmp_path / "file").touch()
    settings = {"data_dir": tmp_path / "file" / "below", "port": 0, "ops_port": 0}
    for command in (*TALKING, ("spool",), ("spool", "export"), ("serve",)):
        ended = await commands.run(*command, **settings)
        assert ended.complaint.startswith(f"RECEIVER_DATA_DIR={tmp_path}/file/below: "), command
        assert "Not a directory" in ended.complaint


async def test_a_spool_that_is_something_else(database: str, tmp_path: Path, commands: Commands) -> None:
    (tmp_path / "data" / "spool" / "spool.sqlite").mkdir(parents=True)
    settings = {"data_dir": tmp_path / "data", "database_url": database, "port": 0, "ops_port": 0}
    told = f"Error: RECEIVER_DATA_DIR={tmp_path}/data: the spool in {tmp_path}/data/spool cannot be used"
    for command in (("spool",), ("spool", "export"), ("serve",)):
        ended = await commands.run(*command, **settings)
        assert ended.err.splitlines()[-1].startswith(told)


@pytest.mark.parametrize("name", ["port", "ops_port"])
async def test_a_taken_port_stops_the_start_before_anything_is_started(
    tmp_path: Path, commands: Commands, name: str
) -> None:
    """It was told after PostgreSQL had been made, started and migrated."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = {"host": "127.0.0.1", "port": 0, "ops_port": 0} | {name: other.getsockname()[1]}
        ended = await commands.run("serve", data_dir=tmp_path / "data", **settings)
    assert f"RECEIVER_{name.upper()}={settings[name]}: cannot listen there" in ended.complaint
    assert not (tmp_path / "data").exists()
