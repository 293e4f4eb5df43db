"""The commands: arguments and options, exit codes, and what `--json` prints."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from support import service as services
from support import tencent_api
from support.golden import check, pretty, shape
from support.preloaded import Commands

from receiver.cli import main
from receiver.reading import export as exporting

WRONG = (
    "serv",
    "serve --port 1",
    "explain",
    "explain NEVER-SEEN",
    "explain NEVER-SEEN --json",
    "simulate",
    "simulate acme",
    "simulate huawei --url ftp://elsewhere",
    "simulate huawei --failures 2",
    "simulate huawei --now yesterday",
    "simulate tencent --sign access:secret",
    "pull",
    "pull acme",
    "rejected",
    "rejected list --limit 0",
    "rejected purge --spare much",
    "spool",
    "spool export --output missing/spool.ndjson",
    "migrate",
    "maintain",
    "rejected list",
    "status --since yesterday",
    "status",
    "message",
    "message nobody's",
    "export",
    "export replies --status failed",
    "export reports --to nobody",
)
"""Some need a database, and there is none."""


def tree(command: click.Command, path: str, parent: click.Context | None = None) -> Iterator[str]:
    """The command, its parameters in order of their names, and the commands below it."""
    context = command.make_context(path, [], parent=parent, resilient_parsing=True)
    command = context.command  # one that is imported when it is needed is there now
    lines = sorted(parameter(one) for one in command.to_info_dict(context)["params"])
    yield "\n".join([path, *(f"    {line}" for line in lines)])
    if isinstance(command, click.Group):
        for name, inner in sorted(command.commands.items()):
            yield from tree(inner, f"{path} {name}", context)


def parameter(told: dict[str, Any]) -> str:
    kind = {key: value for key, value in told["type"].items() if key not in ("param_type", "encoding", "name")}
    if told["type"]["name"] == "choice":
        kind = {"choices": sorted(kind["choices"])}
    facts = {key: told.get(key) for key in ("default", "envvar")}
    flags = [key for key in ("required", "multiple", "is_flag", "hidden") if told.get(key)]
    names = "/".join([*told["opts"], *told["secondary_opts"]])
    name = names if told["param_type_name"] == "option" else f"<{names}>"
    bounds = [f"{key}={value}" for key, value in (kind | facts).items() if value is not None and value is not False]
    return " ".join([name, told["type"]["name"], *bounds, *flags])


def test_arguments_and_options() -> None:
    check("commands.txt", "\n\n".join(tree(main, "receiver")))


async def test_exit_codes(commands: Commands, nowhere: str) -> None:
    told = []
    for line in WRONG:
        ended = await commands.run(*line.split(), database_url=nowhere, data_dir="data")
        complaints = [said for said in ended.err.splitlines() if said.startswith("Error: ")]
        told.append("\n    ".join([f"receiver {line}", str(ended.code), *complaints]))
    check("commands-exit.txt", "\n".join(told).replace(str(urlsplit(nowhere).port), "PORT"))


async def reading(commands: Commands, ours: dict[str, Any]) -> dict[str, object]:
    """Names alone: the values depend on the traffic that was made up."""
    told: dict[str, object] = {}
    status = (await commands.run("status", "--json", **ours)).json
    told["status --json"] = {name: sorted(value) if isinstance(value, dict) else name for name, value in status.items()}
    rows: dict[str, Any] = {}
    for what in exporting.KINDS:
        lines = (await commands.run("export", what, "--format", "jsonl", **ours)).out.splitlines()
        rows[what] = [json.loads(line) for line in lines]
        told[f"export {what} --format jsonl"] = sorted(name for row in rows[what][:1] for name in row)
    (message,) = (await commands.run("message", rows["messages"][0]["message_id"], "--json", **ours)).json["messages"]
    told["message <id> --json"] = [*message, {"reports": list(message["reports"][0])}]
    return told


async def test_json(make_settings: Callable[..., Any], commands: Commands) -> None:
    settings = make_settings(database_timeout_s=20.0, answer_deadline_s=30.0)
    told: dict[str, object] = {}
    async with services.running(settings) as service, tencent_api.running() as api:
        api.give([tencent_api.report(1)])
        ops = urlsplit(service.ops_url)
        ours = {"database_url": settings.database_url.get_secret_value(), "data_dir": settings.data_dir}
        ours |= {"ops_host": ops.hostname, "ops_port": ops.port} | api.settings

        async def ask(line: str) -> Any:
            ended = await commands.run(*line.split(), "--json", **ours)
            answer = json.loads(ended.out)
            told[f"{line.replace(service.url, 'URL')} --json: {ended.code}"] = shape(answer)
            return answer

        await ask("explain E200027")
        await ask(f"simulate huawei --count 5 --rate 0 --now 2026-11-20 --url {service.url}")
        record = Path(settings.data_dir) / "record"
        await commands.run(
            "simulate", "cloudsms", "--count=1", "--now=2026-11-20", "--url", service.url, f"--record={record}"
        )
        told["simulate --record"] = shape([json.loads(line) for line in record.read_text().splitlines()])
        await ask("pull tencent --number +8613800000001")
        await ask("spool")
        await ask("maintain")
        await ask("migrate")
        for path in ("/callback/huawei/report", "/callback/tencent/reply"):
            await service.post(path, b"\xff<html>")
        (found, *_) = await ask("rejected list --provider tencent")
        rejected_id = found["rejected_id"]
        for line in ("rejected show", "rejected replay --dry-run", "rejected replay"):
            shown = await commands.run(*line.split(), rejected_id, "--json", **ours)
            told[f"{line} <id> --json: {shown.code}"] = shape(shown.json)
        await ask("rejected purge --yes")
        told |= await reading(commands, ours)
    check("commands-json.txt", pretty(told))
