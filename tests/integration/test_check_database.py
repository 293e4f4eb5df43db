"""`receiver check` on PostgreSQL and on certificates: each fault of a real one is a finding."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import trustme
from support.certificates import authority_file, issue
from support.checking import Found, checking
from support.databases import administrate, connected, with_database
from support.preloaded import Commands

from receiver.checks import database as database_checks


@pytest.fixture
def check(commands: Commands, tmp_path: Path, database: str) -> Callable[..., Any]:
    return checking(commands, tmp_path / "data", database)


async def test_the_database_has_no_schema_or_a_newer_one(check, empty_database: str, database: str) -> None:
    found = await check(database_url=empty_database, read_database_url=empty_database)
    for subject in ("schema", "read database"):
        assert "run `receiver migrate` → with RECEIVER_DATABASE_URL of a member of sms_owner" in found(subject, "error")
    assert not found("partitions", "ok"), "what is in the schema is looked at where there is one"
    async with connected(database) as sql:
        await sql.execute("UPDATE sms_data.alembic_version SET version_num = '9999', compatible_from = '9999'")
    assert "install a newer version" in (await check())("schema", "error")


async def test_the_server_is_not_fit(check, cluster: str) -> None:
    await administrate(
        cluster, "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
    )
    try:
        await administrate(cluster, "ALTER DATABASE latin SET default_transaction_read_only = on")
        await administrate(cluster, "ALTER DATABASE latin SET synchronous_commit = off")
        found = await check(database_url=with_database(cluster, "latin"))
    finally:
        await administrate(cluster, "DROP DATABASE latin WITH (FORCE)")
    for told in ("the database's encoding is not UTF8", "default_transaction_read_only is on"):
        assert told in found("database", "error")
    assert "the service asks for on" in found("database", "ok")
    assert "has no database latin" in (await check(database_url=with_database(cluster, "latin")))("database", "error")


WELL = {
    "major": 18,
    "encoding": "UTF8",
    "fsync": True,
    "full_page_writes": True,
    "synchronous_commit": "on",
    "standby": False,
    "read_only": False,
    "connections_left": 90,
}
UNFIT = {
    "major": (14, "error", "older than PostgreSQL 15"),
    "fsync": (False, "error", "a power cut loses reports"),
    "full_page_writes": (False, "warning", "can damage tables"),
    "standby": (True, "error", "it is a standby"),
    "connections_left": (3, "warning", "are free"),
}
"""What the tests' own PostgreSQL does not let itself be set to."""


@pytest.mark.parametrize("name", UNFIT)
def test_what_the_server_says_of_itself(name: str) -> None:
    value, level, told = UNFIT[name]
    assert database_checks.faults(WELL) == []
    (found,) = database_checks.faults(WELL | {name: value})
    assert (found.level, bool(found.advice)) == (level, True)
    assert told in found.what


@asynccontextmanager
async def login(cluster: str, database: str, role: str) -> AsyncIterator[str]:
    """URL of a login that is in this role alone."""
    await administrate(cluster, f"CREATE ROLE looks_in LOGIN IN ROLE {role}")
    try:
        yield database.replace("//postgres@", "//looks_in@")
    finally:
        await administrate(cluster, "DROP ROLE looks_in")


@pytest.mark.parametrize(
    ("role", "level", "told"),
    [
        ("sms_writer", "ok", "looks_in may store reports"),
        ("sms_reader", "error", "looks_in may not do this in database"),
        ("sms_owner", "warning", "looks_in is a member of sms_owner"),
    ],
)
async def test_the_login_may_too_little_or_too_much(check, cluster: str, database: str, role, level, told) -> None:
    async with login(cluster, database, role) as url:
        found = await check(database_url=url)
    assert told in found("rights", level) + found("schema", level)
    if role == "sms_writer":
        assert (found("rights", "warning"), found("rights", "error")) == ("", "")


async def test_a_right_that_was_taken_from_the_service(check, cluster: str, database: str) -> None:
    async with connected(database) as sql:
        await sql.execute("REVOKE INSERT ON sms_data.reply FROM sms_writer")
    async with login(cluster, database, "sms_writer") as url:
        assert "may not do all that the service does" in (await check(database_url=url))("rights", "error")


async def test_partitions_that_run_out_or_should_be_gone(check, sql: asyncpg.Connection) -> None:
    assert "`receiver maintain`" in (await check())("partitions", "warning")
    for ahead in range(4):
        await sql.execute("SELECT sms_data.create_partitions($1)", datetime.now(UTC).date() + timedelta(days=ahead))
    found = await check(retention_days=30)
    assert "they reach 3 days ahead" in found("partitions", "ok")
    assert "retention is kept" in found("partitions", "ok")
    await sql.execute("SELECT sms_data.create_partitions($1)", datetime.now(UTC).date() - timedelta(days=40))
    assert "3 should have been dropped" in (await check(retention_days=30))("partitions", "warning")


async def test_certificates(check, tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    good = issue(authority, tmp_path, "good", days=90)
    over = issue(authority, tmp_path, "over", days=-2)
    soon = issue(authority, tmp_path, "soon", days=5)
    stranger = issue(other, tmp_path, "stranger", days=90)
    good.key.chmod(0o644)

    async def of(certificate: object, key: object, **more: object) -> Found:
        return await check(tls_certificate=certificate, tls_key=key, **more)

    found = await of(good.certificate, good.key, public_url="https://good.receiver.test")
    assert "is for good.receiver.test" in found("certificates", "ok")
    assert f"chmod o= {good.key}" in found("certificates", "warning")
    found = await of(good.certificate, good.key, public_url="https://sms.example.com")
    assert "RECEIVER_PUBLIC_URL says sms.example.com" in found("certificates", "error")
    assert "is not the key of" in (await of(good.certificate, over.key))("certificates", "error")
    assert "has expired on" in (await of(over.certificate, over.key))("certificates", "error")
    assert "is valid for 4 days" in (await of(soon.certificate, soon.key))("certificates", "warning")
    assert "cannot be read: No such file" in (await of(tmp_path / "no", good.key))("certificates", "error")
    own = tmp_path / "disordered.crt"
    own.write_bytes(good.certificate.read_bytes() + stranger.certificate.read_bytes())
    assert "has not issued" in (await of(own, good.key))("certificates", "error")
    clients = {"tls_client_ca": f"huawei={authority_file(authority, tmp_path, 'ca')}"}
    assert "(ECDSA) is valid for" in (await of(good.certificate, good.key, **clients))("certificates", "ok")


async def test_the_database_for_people_is_read_and_no_more(check, cluster: str, database: str) -> None:
    assert "read database" not in {one["subject"] for one in (await check()).all}, "it is the service's own"
    async with login(cluster, database, "sms_reader") as url:
        found = await check(read_database_url=url)
        assert "its login may read all" in found("read database", "ok")
        assert "it is no standby" in found("read database", "ok")
        async with connected(database) as sql:
            await sql.execute("REVOKE SELECT ON sms.message FROM sms_reader")
        denied = await check(read_database_url=url)
        assert "may not read the views → GRANT sms_reader" in denied("read database", "error")


@pytest.mark.parametrize(
    ("url", "encrypted", "level", "told"),
    [
        ("postgresql://sms@db.example/sms", False, "warning", "the connection is not encrypted"),
        ("postgresql://sms@db.example/sms?sslmode=require", True, "warning", "is not checked"),
        ("postgresql://sms@db.example/sms?sslmode=verify-full", True, "ok", "is encrypted"),
    ],
)
def test_the_way_to_the_server(url: str, *, encrypted: bool, level: str, told: str) -> None:
    (found,) = database_checks.encryption(url, encrypted=encrypted)
    assert (found.level, told in found.what) == (level, True)
    for near in ("postgresql://sms@127.0.0.1/sms", "postgresql://sms@/sms?host=/run/postgresql"):
        assert list(database_checks.encryption(near, encrypted=False)) == []
