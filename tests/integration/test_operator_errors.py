"""Every command, with what an operator may get wrong: one line that names the setting, and no secret."""

import socket
from pathlib import Path

import pytest
from support.cluster import free_port
from support.command import receiver
from support.databases import administrate, connected, with_database

SECRET = "hunter2-hunter2"
TALKING = (("migrate",), ("maintain",), ("rejected", "list"), ("rejected", "purge", "--yes"))
"""Commands that talk to PostgreSQL."""


@pytest.mark.parametrize("command", TALKING)
async def test_a_database_that_is_away(tmp_path: Path, command: tuple[str, ...]) -> None:
    port = free_port()
    ended = await receiver(*command, folder=tmp_path, database_url=f"postgresql://sms:{SECRET}@127.0.0.1:{port}/sms")
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
async def test_a_url_that_leads_nowhere(tmp_path: Path, wrong: str) -> None:
    url, told = WRONG_URLS[wrong]
    ended = await receiver("migrate", folder=tmp_path, database_url=url.format(secret=SECRET))
    assert ended.complaint.startswith("RECEIVER_DATABASE_URL: ")
    assert told in ended.complaint
    assert SECRET not in ended.err


async def test_a_service_does_not_start_with_a_url_that_cannot_be_used(tmp_path: Path) -> None:
    url = f"postgresql://sms:{SECRET}@127.0.0.1/sms?sslmode=maybe"
    ended = await receiver("serve", folder=tmp_path, database_url=url, port=0, ops_port=0, data_dir=tmp_path / "data")
    assert ended.err.startswith("Error: RECEIVER_DATABASE_URL: cannot be used (`sslmode`")


async def test_a_database_that_is_not_there(cluster: str, tmp_path: Path) -> None:
    ended = await receiver("rejected", "list", folder=tmp_path, database_url=with_database(cluster, "nosuch"))
    assert "has no database nosuch" in ended.complaint


async def test_a_database_without_the_schema(empty_database: str, tmp_path: Path) -> None:
    for command in TALKING[1:]:
        ended = await receiver(*command, folder=tmp_path, database_url=empty_database)
        assert "run `receiver migrate`" in ended.complaint


async def test_a_login_that_may_not(cluster: str, database: str, tmp_path: Path) -> None:
    await administrate(cluster, "CREATE ROLE looks_on LOGIN IN ROLE sms_reader")
    try:
        for command in TALKING:
            ended = await receiver(
                *command, folder=tmp_path, database_url=database.replace("//postgres@", "//looks_on@")
            )
            assert ended.complaint.startswith("RECEIVER_DATABASE_URL: looks_on may not do this in database test_")
    finally:
        async with connected(database) as sql:
            await sql.execute("DROP OWNED BY looks_on")
        await administrate(cluster, "DROP ROLE looks_on")


async def test_a_data_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = {"folder": tmp_path, "data_dir": tmp_path / "file" / "below", "port": 0, "ops_port": 0}
    for command in (*TALKING, ("spool",), ("spool", "export"), ("serve",)):
        ended = await receiver(*command, **settings)
        assert ended.complaint.startswith(f"RECEIVER_DATA_DIR={tmp_path}/file/below: "), command
        assert "Not a directory" in ended.complaint


@pytest.mark.parametrize("command", [("spool",), ("spool", "export"), ("serve",)])
async def test_a_spool_that_is_something_else(database: str, tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "data" / "spool" / "spool.sqlite").mkdir(parents=True)
    ended = await receiver(
        *command, folder=tmp_path, data_dir=tmp_path / "data", database_url=database, port=0, ops_port=0
    )
    line = ended.err.splitlines()[-1]
    assert line.startswith(
        f"Error: RECEIVER_DATA_DIR={tmp_path}/data: the spool in {tmp_path}/data/spool cannot be used"
    )


@pytest.mark.parametrize("name", ["port", "ops_port"])
async def test_a_taken_port_stops_the_start_before_anything_is_started(tmp_path: Path, name: str) -> None:
    """It was told after PostgreSQL had been made, started and migrated."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = {"host": "127.0.0.1", "port": 0, "ops_port": 0} | {name: other.getsockname()[1]}
        ended = await receiver("serve", folder=tmp_path, data_dir=tmp_path / "data", **settings)
    assert f"RECEIVER_{name.upper()}={settings[name]}: cannot listen there" in ended.complaint
    assert not (tmp_path / "data").exists()
