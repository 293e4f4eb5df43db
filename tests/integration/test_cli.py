"""The commands, as an operator and their scripts meet them: exit codes, one clear line, and no secret in it."""

import asyncio
import json

import click
import pytest
from click.testing import CliRunner
from support.command import commands, receiver
from support.databases import connected

from receiver import embedded
from receiver.catalogue import entries
from receiver.cli import main
from receiver.store import schema as migrate

SECRET = "hunter2-hunter2-hunter2"


COMMANDS = commands()


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, arguments, prog_name="receiver")
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_explains_itself(path: str):
    command = COMMANDS[path]
    code, out, err = run(*path.split(), "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: receiver {path}".strip())
    assert (command.help or "").strip(), "a command says what it does"
    assert run(*path.split(), "-h") == (code, out, err)
    silent = [one.name for one in command.params if isinstance(one, click.Option) and not one.help]
    assert silent == [], "and so does each of its options"


def test_the_commands_of_the_contract_are_there():
    assert {"serve", "migrate", "database-url", "explain", "simulate", "spool", "maintain"} <= set(main.commands)


def test_an_unknown_command_is_an_error_of_usage():
    code, _, err = run("serv")
    assert code == 2
    assert "No such command" in err


def test_explain_says_what_a_code_means_and_what_to_do():
    code, out, err = run("explain", "E200027")
    (row,) = [row for row in entries() if row.code == "E200027"]
    assert (code, err) == (0, "")
    for told in ("huawei E200027", row.status, row.reason, row.meaning, row.advice):
        assert told in out


def test_explain_as_json_has_a_row_for_each_platform():
    code, out, _ = run("explain", "DELIVRD", "--json")
    rows = json.loads(out)
    assert code == 0
    assert {row["provider"] for row in rows} >= {"huawei", "tencent"}
    assert {(row["status"], row["reason"], row["final"]) for row in rows} == {("delivered", None, True)}
    assert set(rows[0]) == {"provider", "code", "status", "reason", "final", "meaning", "advice"}


def test_explain_for_one_platform():
    _, out, _ = run("explain", "MK:0001", "--provider", "tencent", "--json")
    assert [row["provider"] for row in json.loads(out)] == ["tencent"]


def test_explain_says_what_a_code_means_at_every_platform_that_has_it():
    """Huawei's 88, the last row of its table, was missing: Tencent's meaning stood there alone."""
    code, out, _ = run("explain", "88")
    assert code == 0
    assert [line for line in out.splitlines() if not line.startswith(" ")] == ["huawei 88", "tencent 88"]


def test_explain_takes_a_code_in_any_case():
    assert run("explain", "e200027") == run("explain", "E200027")


def test_explain_knows_patterns_and_forgives_blanks():
    _, out, _ = run("explain", " MA:9999 ", "--provider", "huawei", "--json")
    assert [row["code"] for row in json.loads(out)] == ["MA:*"]


def test_explain_for_a_platform_that_is_none_names_those_that_are():
    code, out, err = run("explain", "DELIVRD", "--provider", "nobody")
    assert (code, out) == (1, "")
    assert "huawei" in err


@pytest.mark.parametrize("options", [(), ("--json",), ("--provider", "huawei")])
def test_explain_of_an_unknown_code_fails_and_says_what_becomes_of_such_reports(options: tuple[str, ...]):
    code, out, err = run("explain", "NEVER-SEEN", *options)
    assert code == 1
    assert out.strip() in ("", "[]")
    assert err.startswith("Error: ")
    assert "NEVER-SEEN" in err


async def test_the_module_is_the_command(tmp_path):
    ended = await receiver("--version", folder=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("receiver, version ")


async def test_migrate_then_maintain_on_a_users_own_database(empty_database, tmp_path):
    migrated = await receiver("migrate", folder=tmp_path, database_url=empty_database)
    assert (migrated.code, migrated.out, migrated.err) == (0, f"The schema is at {migrate.head()}.\n", "")
    first, again = [
        await receiver("maintain", "--json", folder=tmp_path, database_url=empty_database, partition_days_ahead=2)
        for _ in range(2)
    ]
    assert (first.code, first.err) == (0, "")
    assert set(first.json) == {"created", "dropped", "deleted_messages", "days_left", "dropped_rejected"}
    async with connected(empty_database) as connection:
        parents = await connection.fetchval("SELECT count(*) FROM sms_data.partitioned_table")
        assert await connection.fetchval("SELECT count(*) FROM sms.code") == len(entries())
        await connection.execute("SELECT sms_data.create_partitions('2020-01-01')")
    assert first.json["created"] == 3 * parents
    assert again.json["created"] in (0, parents), "one day more if it is midnight"
    told = await receiver("maintain", folder=tmp_path, database_url=empty_database, retention_days=30)
    assert told.code == 0
    assert f"{parents} dropped" in told.out


async def test_maintain_of_a_database_without_the_schema_is_one_clear_line(empty_database, tmp_path):
    ended = await receiver("maintain", folder=tmp_path, database_url=empty_database)
    assert "receiver migrate" in ended.complaint


async def test_the_embedded_database_is_started_for_a_command_that_needs_it(open_folder, tmp_path):
    """And its URL is what `psql "$(receiver database-url)"` needs."""
    data_dir = open_folder / "for-commands"
    migrated, url = await asyncio.gather(
        receiver("migrate", folder=tmp_path, data_dir=data_dir),
        receiver("database-url", folder=tmp_path, data_dir=data_dir),
    )
    assert (migrated.code, migrated.err) == (0, ""), migrated
    assert url.out == embedded.database_url(data_dir) + "\n"
    assert not embedded.in_use(data_dir)
    async with embedded.running(data_dir), connected(url.out.strip()) as connection:
        await migrate.check(connection)


async def test_database_url_of_a_users_own_is_that_one(tmp_path):
    """With the password: psql needs it, and whoever may run this may read the variable."""
    url = f"postgresql://sms:{SECRET}@db/sms"
    ended = await receiver("database-url", folder=tmp_path, database_url=url)
    assert (ended.code, ended.out, ended.err) == (0, url + "\n", "")


WRONG = {
    "database_url": [
        f"mysql://sms:{SECRET}@db/sms",
        f"postgresql://sms:{SECRET}@[::1/sms",
        f"postgresql://sms:{SECRET}@db:port/sms",
        f"postgresql://sms:{SECRET}/slash@db/sms",
    ],
    "port": ["seventy"],
    "callback_tokens": [f"short,{SECRET}", f"{SECRET}/slash"],
    "database_timeout_s": ["0"],
    "retention_days": ["-1"],
    "log_format": ["xml"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_setting_is_one_line_that_names_the_variable_and_no_secret(
    monkeypatch, tmp_path, name: str, value: str
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"RECEIVER_{name.upper()}", value)
    for command in ("serve", "migrate", "database-url", "maintain"):
        code, out, err = run(command)
        assert (code, out) == (1, "")
        assert err.startswith(f"Error: RECEIVER_{name.upper()}: ")
        assert err.count("\n") == 1
        assert SECRET not in err


async def test_a_wrong_setting_stops_the_service_with_exit_code_1(tmp_path):
    ended = await receiver("serve", folder=tmp_path, port=8080, ops_port=8080)
    assert "RECEIVER_PORT and RECEIVER_OPS_PORT must differ" in ended.complaint


async def test_a_database_that_is_not_there_is_one_line(tmp_path):
    url = f"postgresql://sms:{SECRET}@127.0.0.1:1/sms"
    for command in ("migrate", "maintain"):
        ended = await receiver(command, folder=tmp_path, database_url=url)
        assert "refused" in ended.complaint
        assert SECRET not in ended.err


async def test_settings_come_from_a_file_in_the_working_folder_too(tmp_path):
    (tmp_path / ".env").write_text("RECEIVER_DATABASE_URL=postgresql://from-the-file/sms\n")
    assert (await receiver("database-url", folder=tmp_path)).out == "postgresql://from-the-file/sms\n"
