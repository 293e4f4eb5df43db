"""deploy/postgresql as an operator uses it: an administrator who is no superuser, and three logins."""

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from support import service as services
from support.cases import case
from support.command import CHECKOUT
from support.databases import administrate, connected, with_database
from support.preloaded import Commands
from support.waiting import eventually

from receiver import embedded
from receiver.embedded import binaries
from receiver.settings import Settings

FOLDER = CHECKOUT / "deploy" / "postgresql"
ROLES = ("sms_migrate", "sms_receiver", "sms_dashboard", "sms_owner", "sms_writer", "sms_reader")

NOT_THE_OWNERS = """
SELECT oid::regclass::text FROM pg_class
 WHERE relnamespace IN ('sms'::regnamespace, 'sms_data'::regnamespace) AND relowner <> 'sms_owner'::regrole
UNION ALL
SELECT oid::regprocedure::text FROM pg_proc
 WHERE pronamespace = 'sms_data'::regnamespace AND proowner <> 'sms_owner'::regrole
UNION ALL
SELECT nspname FROM pg_namespace WHERE nspname IN ('sms', 'sms_data') AND nspowner <> 'sms_owner'::regrole
"""


@pytest.fixture(scope="module")
async def own_cluster(open_folder: Path) -> AsyncIterator[str]:
    """URL of a PostgreSQL with `admin`, who may create roles and databases, and `plain`, who may nothing."""
    async with embedded.running(open_folder / "set-up") as server:
        await administrate(server.url, "CREATE ROLE admin LOGIN CREATEROLE CREATEDB", "CREATE ROLE plain LOGIN")
        yield server.url


@pytest.fixture
async def bare(own_cluster: str) -> AsyncIterator[str]:
    """The same, with none of our roles."""
    yield own_cluster
    await administrate(
        own_cluster,
        "DROP DATABASE IF EXISTS sms WITH (FORCE)",
        *(f"DROP ROLE IF EXISTS {role}" for role in ROLES),
    )


def as_role(url: str, role: str, database: str = "sms") -> str:
    return with_database(url, database).replace("//postgres@", f"//{role}@").replace("///", "//")


def psql(script: str, url: str, *options: str) -> str:
    program = binaries._bin(binaries._site_folder()) / "psql"
    command = [program, "-X", "-q", *options, "-f", FOLDER / script, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


async def test_from_nothing_to_a_service_that_runs_as_the_writer(bare: str, tmp_path: Path, commands: Commands) -> None:
    """What is old is dropped by the owner and by nobody else."""
    for _ in range(2):
        told = psql("setup.sql", as_role(bare, "admin", "postgres"))
        assert told.startswith("Not a superuser: every login may still write large objects and WAL")
    owner, writer = as_role(bare, "sms_migrate"), as_role(bare, "sms_receiver")
    migrated = await commands.run("migrate", database_url=owner)
    assert (migrated.code, migrated.err) == (0, "")
    psql("tables.sql", owner)
    await serve_as(writer, tmp_path / "data")

    for command in (["list"], ["replay"], ["purge", "--yes"]):
        done = await commands.run("rejected", *command, database_url=writer)
        assert (done.code, done.err) == (0, "")
    none_left = await commands.run("rejected", "list", "--replayed", database_url=writer)
    assert (none_left.code, none_left.err) == (0, "There are no such payloads.\n")
    await administrate(writer, "SELECT sms_data.make_room_for_rejected(1)")
    async with connected(as_role(bare, "sms_dashboard")) as dashboard:
        assert await dashboard.fetchval("SELECT count(*) FROM sms.message") == 1
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await dashboard.fetch("SELECT * FROM sms_data.message")
    async with connected(with_database(bare, "sms")) as superuser:
        assert await superuser.fetch(NOT_THE_OWNERS) == []
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(as_role(bare, "plain"))

    await administrate(writer, "SELECT sms_data.create_partitions('2020-01-01')")
    refused = await commands.run("maintain", database_url=writer, retention_days=30)
    assert refused.complaint == "3 partitions are to be dropped, which takes a member of sms_owner"
    done = await commands.run("maintain", "--json", database_url=owner, retention_days=30)
    assert done.json["dropped"] == ["reply_20200101", "report_20200101", "submission_20200101"]
    again = await commands.run("maintain", "--json", database_url=writer, retention_days=30)
    assert (again.code, again.json["dropped"]) == (0, [])


async def serve_as(writer: str, folder: Path) -> None:
    """A service that takes everything, and makes the rounds of its maintenance."""
    options = {"database_url": writer, "data_dir": folder, "host": "127.0.0.1", "port": 0, "ops_port": 0}
    patient = {"database_timeout_s": 20.0, "answer_deadline_s": 30.0, "drain_delay_s": 0.0, "retention_days": 30}
    async with services.running(Settings(_env_file=None, **options, **patient)) as service:
        for name in ("huawei/single-vendor-sample", "huawei/batch-body-truncated", "huawei/uplink-emoji"):
            body = case(name)
            status, _ = await service.post(body.path, body.body, **body.headers)
            assert status == body.expected["http_status"]
        async with service.client.post(service.ops_url + "/submissions/huawei", data=b"not JSON") as response:
            assert response.status == 400
        ahead = "SELECT count(*) FROM sms_data.partition WHERE day > (now() AT TIME ZONE 'UTC')::date"

        async def rounds_are_done() -> bool:
            partitions, windows = await service.sql.fetchrow(
                f"SELECT ({ahead}), count(*) FROM sms_data.reporting_window"
            )
            return partitions >= 18 and windows > 0

        await eventually(rounds_are_done)


async def test_who_may_not_create_roles_is_told_what_an_administrator_has_to_run(bare: str, commands: Commands) -> None:
    await administrate(bare, "CREATE DATABASE sms OWNER plain")
    url = as_role(bare, "plain")
    complaint = (await commands.run("migrate", database_url=url)).complaint
    statements = complaint.removeprefix("an administrator has to run this first: ")
    assert statements == (
        "CREATE ROLE sms_owner NOLOGIN; CREATE ROLE sms_writer NOLOGIN; CREATE ROLE sms_reader NOLOGIN;"
        " GRANT sms_owner TO plain;"
    )
    await administrate(as_role(bare, "admin", "postgres"), statements)
    assert (await commands.run("migrate", database_url=url)).code == 0
    async with connected(url) as connection:
        assert await connection.fetch(NOT_THE_OWNERS) == []


async def test_who_may_create_roles_needs_no_script(bare: str, commands: Commands) -> None:
    """As the first user of a managed service, who is no superuser."""
    await administrate(as_role(bare, "admin", "postgres"), "CREATE DATABASE sms")
    for _ in range(2):
        assert (await commands.run("migrate", database_url=as_role(bare, "admin"))).code == 0
    async with connected(as_role(bare, "admin")) as connection:
        assert await connection.fetch(NOT_THE_OWNERS) == []


WRITING = (
    "SELECT lo_create(0)",
    "SELECT lo_creat(-1)",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT lo_put(1, 0, 'x')",
    "SELECT lo_unlink(1)",
    "SELECT lo_open(1, 131072)",
    "SELECT lowrite(0, 'x')",
    "SELECT pg_logical_emit_message(false, 'x', 'y')",
    "SELECT pg_logical_emit_message(true, 'x', 'y'::bytea)",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_lock_shared(1, 2)",
    "SELECT pg_advisory_xact_lock(1)",
    "CREATE TEMPORARY TABLE mine (id int)",
)
EXECUTABLE = """
SELECT oid::regprocedure::text FROM pg_proc
 WHERE proname ~ '^lo_|advisory|emit_message' AND has_function_privilege($1, oid, 'EXECUTE')
"""


async def test_no_login_fills_the_disk_or_holds_up_a_migration(bare: str, commands: Commands) -> None:
    """A dashboard could write large objects and WAL without end, and hold the lock that `receiver migrate` takes."""
    for _ in range(2):
        assert psql("setup.sql", with_database(bare, "postgres")) == ""
    assert (await commands.run("migrate", database_url=as_role(bare, "sms_migrate"))).code == 0
    for role in ("sms_dashboard", "sms_receiver"):
        async with connected(as_role(bare, role)) as connection:
            await connection.execute("SET default_transaction_read_only = off")
            for statement in WRITING:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)
            assert await connection.fetch(EXECUTABLE, role) == []


async def test_the_service_may_see_the_standbys_where_that_is_asked_for(bare: str) -> None:
    """RECEIVER_REQUIRE_SYNC_REPLICA takes it; the right is a wide one, so it is not given unasked."""
    for options, may in (((), False), (("-v", "see_standbys=yes"), True)):
        psql("setup.sql", with_database(bare, "postgres"), *options)
        async with connected(bare) as sql:
            assert await sql.fetchval("SELECT pg_has_role('sms_writer', 'pg_read_all_stats', 'USAGE')") is may
