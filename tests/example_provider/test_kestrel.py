"""What Kestrel has and others have not, over HTTP: the suite runs this where the platform is in place."""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from itertools import permutations
from urllib.parse import quote_plus

import asyncpg
import pytest
from support import service as services
from support.capture import captured_log
from support.cases import case
from support.service import Service

from receiver.ingest.replay import replay
from receiver.settings import Settings
from receiver.store.rejected import Filter, find

PUBLIC = "https://sms.example.com/in"
TOKENS = ("0123456789abcdef-west", "0123456789abcdef-east")
SECRETS = {"west": "secret-of-west", "east": "secret-of-east"}
GOOD = case("kestrel/delivered")
ORDER = ("waiting", "released", "handed-over", "buffered")


@pytest.fixture
async def signed(make_settings: Callable[..., Settings]) -> AsyncIterator[Service]:
    keys = ",".join(f"kestrel:{account}:{secret}" for account, secret in SECRETS.items())
    settings = make_settings(public_url=PUBLIC, callback_tokens=",".join(TOKENS), push_keys=keys, keep_unsigned=True)
    async with services.running(settings) as service:
        yield service


async def push(
    service: Service, fields: dict[str, str], query: str = "order=17", token: str = TOKENS[0], account: str = "west"
) -> tuple[int, str]:
    """As the platform does it, which knows nothing of the address behind the proxy."""
    path = f"/callback/kestrel/status/{token}?{query}"
    text = PUBLIC + path + "".join(name + fields[name] for name in sorted(fields))
    code = hmac.new(SECRETS[account].encode(), text.encode(), hashlib.sha256).digest()
    body = "&".join(f"{name}={quote_plus(value)}" for name, value in fields.items())
    return await service.post(path, body, **{"X-Kestrel-Signature": f"{account}:{base64.b64encode(code).decode()}"})


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("account", SECRETS)
async def test_every_token_and_every_account_are_let_in_by_the_public_url(
    signed: Service, token: str, account: str
) -> None:
    with captured_log() as log:
        answer = await push(signed, {"State": "delivered", "MessageId": "k-1"}, token=token, account=account)
    assert answer == (200, "OK")
    (row,) = await signed.rows("SELECT message_id, context::text FROM sms.delivery_report")
    assert (row["message_id"], row["context"]) == ("k-1", '{"query": {"order": "17"}}')
    assert log.events("report.stored")
    assert token not in log.text
    assert "order=17" not in log.text


async def test_another_token_or_signature_is_refused_in_the_platforms_own_words(signed: Service) -> None:
    fields = {"State": "delivered", "MessageId": "k-1"}
    assert await push(signed, fields, token="0123456789abcdef-nobody") == (404, "ERROR no such callback URL")
    path = f"/callback/kestrel/status/{TOKENS[0]}?order=17"
    with captured_log() as log:
        answer = await signed.post(path, "State=delivered&MessageId=k-1", **{"X-Kestrel-Signature": "west:bm90IHNv"})
    assert answer == (401, "ERROR the signature does not fit")
    (kept,) = await signed.rows("SELECT path FROM sms.rejected_payload")
    assert kept["path"] == "/callback/kestrel/status?order=17"
    assert TOKENS[0] not in log.text


async def test_states_without_a_time_are_in_the_declared_order_however_they_arrive(service: Service) -> None:
    for number, codes in enumerate(permutations(ORDER)):
        for code in codes:
            await service.post("/callback/kestrel/status", f"MessageId=k-{number}&State={code}")
    found = await service.rows("SELECT DISTINCT code, happened_at, status FROM sms.message")
    assert found == [{"code": ORDER[-1], "happened_at": None, "status": "enroute"}]


async def test_a_rejected_callback_is_read_again_with_its_query(service: Service, sql: asyncpg.Connection) -> None:
    """It was rejected by a version that did not know better: here, by a hand that changes what is kept."""
    assert (await service.post("/callback/kestrel/status?order=17", b"State=delivered"))[0] == 400
    await sql.execute("UPDATE sms_data.rejected_payload SET body = $1", GOOD.body)
    (again,) = await replay(sql, await find(sql, Filter(), 10), dry_run=False)
    assert (again.stored, again.error) == (1, None)
    assert await sql.fetchval("SELECT context::text FROM sms.delivery_report") == '{"query": {"order": "17"}}'
