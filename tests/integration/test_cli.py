"""The commands, as an operator and their scripts meet them: exit codes, one clear line, and no secret in it."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from support.command import commands as all_commands
from support.command import receiver
from support.databases import connected
from support.preloaded import Commands

from receiver import embedded
from receiver.catalogue import entries
from receiver.cli import main
from receiver.store import schema as migrate

SECRET = "hunter2-hunter2-hunter2"
COMMANDS = all_commands()


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, arguments, prog_name="receiver")
    return result.exit_code, result.stdout, result.stderr


def explained(*arguments: str) -> list[tuple[str, str]]:
    code, out, err = run("explain", *arguments, "--json")
    assert (code, err) == (0, "")
    return [(row["provider"], row["code"]) for row in json.loads(out)]


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_explains_itself(path: str) -> None:
    command = COMMANDS[path]
    code, out, err = run(*path.split(), "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: receiver {path}".strip())
    assert (command.help or "").strip(), "a command says what it does"
    assert run(*path.split(), "-h") == (code, out, err)
    silent = [one.name for one in command.params if isinstance(one, click.Option) and not one.help]
    assert silent == [], "and so does each of its options"


def test_explain_says_what_a_code_means_and_what_to_do() -> None:
    code, out, err = run("explain", "E200027")
    (row,) = [row for row in entries() if row.code == "E200027"]
    assert (code, err) == (0, "")
    for told in ("huawei E200027", row.status, row.reason, row.meaning, row.advice):
        assert told in out
    assert run("explain", "e200027") == (code, out, err)


def test_explain_finds_a_code_at_every_platform_that_has_it_or_at_one() -> None:
    assert {provider for provider, _ in explained("DELIVRD")} >= {"huawei", "tencent"}
    assert explained("88") == [("huawei", "88"), ("tencent", "88")]
    assert explained("MK:0001", "--provider", "tencent") == [("tencent", "MK:0001")]
    assert explained(" MA:9999 ", "--provider", "huawei") == [("huawei", "MA:*")]


def test_explain_for_a_platform_that_is_none_names_those_that_are() -> None:
    code, out, err = run("explain", "DELIVRD", "--provider", "nobody")
    assert (code, out) == (1, "")
    assert "huawei" in err


@pytest.mark.parametrize("options", [(), ("--json",), ("--provider", "huawei")])
def test_explain_of_an_unknown_code_fails_and_says_what_becomes_of_such_reports(options: tuple[str, ...]) -> None:
    code, out, err = run("explain", "NEVER-SEEN", *options)
    assert (code, out.strip()) in ((1, ""), (1, "[]"))
    assert err.startswith("Error: ")
    assert "NEVER-SEEN" in err


async def test_the_module_is_the_command_and_reads_the_file_in_the_working_folder(tmp_path: Path) -> None:
    """The URL is told with its password: psql needs it, and an operator may read the variable anyway."""
    url = f"postgresql://sms:{SECRET}@from-the-file/sms\n"
    (tmp_path / ".env").write_text(f"RECEIVER_DATABASE_URL={url}")
    ended = await receiver("database-url", folder=tmp_path)
    assert (ended.code, ended.out, ended.err) == (0, url, "")


async def test_migrate_then_maintain_on_a_users_own_database(empty_database: str, commands: Commands) -> None:
    ours = {"database_url": empty_database}
    assert "receiver migrate" in (await commands.run("maintain", **ours)).complaint
    migrated = await commands.run("migrate", **ours)
    assert (migrated.code, migrated.out, migrated.err) == (0, f"The schema is at {migrate.head()}.\n", "")
    first, again = [await commands.run("maintain", "--json", **ours, partition_days_ahead=2) for _ in range(2)]
    assert (first.code, first.err) == (0, "")
    async with connected(empty_database) as connection:
        parents = await connection.fetchval("SELECT count(*) FROM sms_data.partitioned_table")
        assert await connection.fetchval("SELECT count(*) FROM sms.code") == len(entries())
        await connection.execute("SELECT sms_data.create_partitions('2020-01-01')")
        await connection.execute("BEGIN; SELECT FROM sms_data.reply_20200101")
        held_up = await commands.run("maintain", "--patience", "0", **ours, retention_days=30)
    assert f"{parents - 1} dropped" in held_up.out
    assert held_up.complaint.startswith("reply_20200101 cannot be dropped while a query reads the table")
    assert first.json["created"] == 3 * parents
    assert again.json["created"] in (0, parents), "one day more if it is midnight"
    async with connected(empty_database) as connection:
        await connection.execute(
            "INSERT INTO sms_data.message_count SELECT now(), now(), '', '', '', '', '', true, true, 1, 1, 1"
        )
    wrong = await commands.run("maintain", "--recount", **ours, retention_days=30)
    assert "1 dropped" in wrong.out
    assert wrong.complaint == "1 of the counts by the hour were wrong: they are right now"
    right = await commands.run("maintain", "--recount", "--json", **ours, retention_days=30)
    assert (right.code, right.json["wrong_counts"]) == (0, 0)


async def test_the_embedded_database_is_started_for_a_command_that_needs_it(
    open_folder: Path, commands: Commands
) -> None:
    """And its URL is what `psql "$(receiver database-url)"` needs."""
    data_dir = open_folder / "for-commands"
    url = await commands.run("database-url", data_dir=data_dir)
    migrated = await commands.run("migrate", data_dir=data_dir)
    assert (migrated.code, migrated.err) == (0, ""), migrated
    assert url.out == embedded.database_url(data_dir) + "\n"
    assert not embedded.in_use(data_dir)
    async with embedded.running(data_dir), connected(url.out.strip()) as connection:
        await migrate.check(connection)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database_url", f"mysql://sms:{SECRET}@db/sms"),
        ("database_url", f"postgresql://sms:{SECRET}@[::1/sms"),
        ("database_url", f"postgresql://sms:{SECRET}@/sms?host=/tmp&port=5432X"),
        ("database_url", f"postgresql://sms:{SECRET}@db:port/sms"),
        ("database_url", f"postgresql://sms:{SECRET}/slash@db/sms"),
        ("callback_tokens", f"short,{SECRET}"),
        ("callback_tokens", f"{SECRET}/slash"),
        ("port", "8081"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_the_variable_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"RECEIVER_{name.upper()}", value)
    for command in ("serve", "migrate", "database-url", "maintain"):
        code, out, err = run(command)
        assert (code, out) == (1, "")
        assert err.startswith(f"Error: RECEIVER_{name.upper()}")
        assert err.count("\n") == 1
        assert SECRET not in err
