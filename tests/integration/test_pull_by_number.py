"""`receiver pull tencent --number`: what it says, and with which exit code it ends."""

from collections.abc import AsyncIterator

import pytest
from support import tencent_api
from support.preloaded import Commands
from support.pulling import asked, stored
from support.tencent_api import REPLIES, REPORTS, Api, reply, report

NUMBER = report(1)["PhoneNumber"]


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with tencent_api.running() as running:
        yield running


async def test_more_in_one_second_than_the_platform_tells_at_a_time_is_no_silent_success(
    api: Api, database: str, commands: Commands
) -> None:
    moment = report(1)["UserReceiveTime"]
    api.give(report(number, PhoneNumber=NUMBER, UserReceiveTime=moment) for number in range(150))
    ended = await asked(commands, api, database, NUMBER)
    assert ended.code == 3
    assert ended.json == {"numbers": 1, "items": 100, "new": 100, "incomplete": 1}
    assert "pull.incomplete" in ended.err
    assert "it may know of more" in ended.err.splitlines()[-1]
    assert NUMBER not in ended.err
    assert len(await stored(database)) == 100


async def test_more_than_one_answer_holds_is_asked_for_in_pieces(api: Api, database: str, commands: Commands) -> None:
    api.give(report(serial, PhoneNumber=NUMBER, SubscriberNumber=NUMBER[3:]) for serial in range(150))
    api.give([reply(1, PhoneNumber=NUMBER), reply(2)], REPLIES)
    api.give([report(1_000)])
    ended = await asked(commands, api, database, NUMBER)
    assert (ended.code, ended.json["new"]) == (0, 151)
    assert len(await stored(database)) == 150
    assert len(api.queues[REPORTS]) == 151, "asking by number takes nothing from the queue"
    assert max(call.parameters["Limit"] for call in api.calls) == 100


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"tencent_pull_secret_id": "AKIDnobody"}, "AuthFailure.SecretIdNotFound"),
        ({"tencent_pull_secret_key": "wrong"}, "AuthFailure.SignatureFailure"),
        ({"tencent_pull_sdk_app_id": "1"}, "UnauthorizedOperation.SmsSdkAppIdVerifyFail"),
    ],
)
async def test_a_key_that_is_refused_is_not_tried_again(
    api: Api, shared_database: str, commands: Commands, changed: dict[str, object], code: str
) -> None:
    ended = await asked(commands, api, shared_database, NUMBER, **changed)
    assert api.refused == {code: 1}
    assert "RECEIVER_TENCENT_PULL_" in ended.complaint
    assert ended.complaint.endswith("then run it again")


@pytest.mark.parametrize("required", [False, True])
async def test_a_report_that_is_on_one_machine_alone_is_not_said_to_be_stored_where_a_replica_is_required(
    api: Api, database: str, commands: Commands, *, required: bool
) -> None:
    api.give([report(1, PhoneNumber=NUMBER)])
    ended = await asked(commands, api, database, NUMBER, require_sync_replica=required)
    assert ended.code == (1 if required else 0)
    assert ("PostgreSQL takes nothing now" in ended.err) == required
