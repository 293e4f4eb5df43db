"""`receiver pull tencent --number`: what it says, and with which exit code it ends."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support import tencent_api
from support.command import Ended, receiver
from support.pulling import stored
from support.tencent_api import Api, report

NUMBER = report(1)["PhoneNumber"]


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with tencent_api.running() as running:
        yield running


async def asked(api: Api, database: str, folder: Path, *options: str, **changes: object) -> Ended:
    arguments = ("pull", "tencent", "--number", NUMBER, "--since=2026-09-01", *options)
    settings = {"database_url": database, "database_timeout_s": 20} | api.settings | changes
    return await receiver(*arguments, folder=folder, **settings)


async def test_more_in_one_second_than_the_platform_tells_at_a_time_is_no_silent_success(
    api: Api, database: str, tmp_path: Path
) -> None:
    moment = report(1)["UserReceiveTime"]
    api.give(report(number, PhoneNumber=NUMBER, UserReceiveTime=moment) for number in range(150))
    ended = await asked(api, database, tmp_path, "--json")
    assert ended.code == 3
    assert json.loads(ended.out) == {"numbers": 1, "items": 100, "new": 100, "incomplete": 1}
    assert "pull.incomplete" in ended.err
    assert "it may know of more" in ended.err.splitlines()[-1]
    assert NUMBER not in ended.err
    assert len(await stored(database)) == 100


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"tencent_pull_secret_id": "AKIDnobody"}, "AuthFailure.SecretIdNotFound"),
        ({"tencent_pull_secret_key": "wrong"}, "AuthFailure.SignatureFailure"),
        ({"tencent_pull_sdk_app_id": "1"}, "UnauthorizedOperation.SmsSdkAppIdVerifyFail"),
    ],
)
async def test_a_key_that_is_refused_is_not_tried_again(
    api: Api, database: str, tmp_path: Path, changed: dict[str, object], code: str
) -> None:
    ended = await asked(api, database, tmp_path, **changed)
    assert api.refused == {code: 1}
    assert "RECEIVER_TENCENT_PULL_" in ended.complaint
    assert ended.complaint.endswith("then run it again")
