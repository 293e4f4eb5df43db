"""The bearer token of the ops listener: what it closes, what stays open, and who knows it."""

import base64
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from support import process
from support import service as services
from support.capture import captured_log
from support.preloaded import Commands
from support.service import Service
from support.shared import shared_service

from receiver.settings import Settings, SettingsError, load

TOKEN = "an-ops.token~of+29/characters="
CLOSED = [
    ("GET", "/metrics"),
    ("GET", "/spool"),
    ("GET", "/spool/export"),
    ("POST", "/submissions/huawei"),
    ("GET", "/nowhere"),
]
WRONG = {
    "none": {},
    "an empty one": {"Authorization": "Bearer "},
    "another": {"Authorization": "Bearer another-token-of-many-characters"},
    "its beginning": {"Authorization": f"Bearer {TOKEN[:-1]}"},
    "it and more": {"Authorization": f"Bearer {TOKEN}="},
    "without the scheme": {"Authorization": TOKEN},
    "as a password": {"Authorization": "Basic " + base64.b64encode(f"ops:{TOKEN}".encode()).decode()},
    "beyond ASCII": {"Authorization": "Bearer 令牌"},
    "in the query": {"X-Token": TOKEN},
}


@pytest.fixture(scope="module")
async def service(cluster: str, template: str) -> AsyncIterator[Service]:
    async with shared_service(cluster, template, ops_token=TOKEN) as service:
        yield service


@pytest.mark.parametrize("name", WRONG)
async def test_without_it_there_is_nothing_to_see(service: Service, name: str) -> None:
    for method, path in CLOSED:
        url = f"{service.ops_url}{path}?token={TOKEN}"
        async with service.client.request(method, url, headers=WRONG[name]) as response:
            assert response.status == 401
            assert response.headers["WWW-Authenticate"] == 'Bearer realm="receiver"'
            assert await response.json() == {"error": "the bearer token is missing or wrong"}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
async def test_with_it_all_is_as_ever(service: Service, scheme: str) -> None:
    statuses = []
    for method, path in CLOSED:
        headers = {"Authorization": f"{scheme} {TOKEN}"}
        async with service.client.request(method, service.ops_url + path, headers=headers) as response:
            statuses.append(response.status)
    assert statuses == [200, 200, 200, 400, 404]


async def test_load_balancers_need_none(service: Service) -> None:
    for path in ("/healthz", "/readyz"):
        async with service.client.get(service.ops_url + path) as response:
            assert response.status == 200


async def test_the_command_that_asks_a_running_service_knows_it(
    database: str, tmp_path: Path, commands: Commands
) -> None:
    async with process.running(tmp_path, database_url=database, ops_token=TOKEN) as service:
        settings = {"data_dir": tmp_path / "data", "ops_port": service.ops_port}
        for command in (("spool", "--json"), ("spool", "export")):
            with_it = await commands.run(*command, ops_token=TOKEN, **settings)
            assert with_it.code == 0, with_it
            assert "RECEIVER_OPS_TOKEN" in (await commands.run(*command, **settings)).complaint
        await service.terminate()
        assert TOKEN not in "\n".join(service.output)


async def test_a_listener_that_all_can_reach_without_it_is_warned_of(make_settings: Callable[..., Settings]) -> None:
    cases = (
        ({"ops_host": "0.0.0.0"}, ["warning"]),
        ({"ops_host": "0.0.0.0", "ops_token": TOKEN}, []),
        ({"ops_host": "127.0.0.1"}, []),
        ({"ops_host": "localhost"}, []),
    )
    for changes, warned in cases:
        with captured_log() as log:
            async with services.running(make_settings(**changes)):
                pass
        assert [line["level"] for line in log.events("ops.unprotected")] == warned, changes


@pytest.mark.parametrize(
    ("value", "says"),
    [("tiny-one", "is shorter than 16 characters"), ("with a blank in its midst", "cannot stand in a header")],
)
def test_a_token_that_is_none_stops_the_start(monkeypatch: pytest.MonkeyPatch, value: str, says: str) -> None:
    monkeypatch.setenv("RECEIVER_OPS_TOKEN", value)
    with pytest.raises(SettingsError, match="RECEIVER_OPS_TOKEN: ") as caught:
        load()
    assert says in str(caught.value)
    assert value not in str(caught.value)
