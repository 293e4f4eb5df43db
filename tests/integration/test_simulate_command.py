"""`receiver simulate` against a running service, of which it may know too little."""

from collections.abc import Callable
from typing import Any

from support import service as services
from support.preloaded import Commands

TOKEN = "a-token-of-16-characters"


async def test_a_missing_token_and_the_wrong_port_are_told_apart(
    make_settings: Callable[..., Any], commands: Commands
) -> None:
    async with services.running(make_settings(callback_tokens=(TOKEN,))) as service:

        async def simulate(*options: str) -> Any:
            return await commands.run("simulate", "huawei", "--count=5", "--rate=0", *options)

        assert (await simulate("--url", service.url, "--token", TOKEN)).code == 0
        for options in ((), ("--token", "another-one-of-16-characters")):
            complaint = (await simulate("--url", service.url, *options)).complaint
            assert complaint.startswith(f"{service.url} answers 404: it has no such callback URL")
        complaint = (await simulate("--url", service.ops_url)).complaint
        assert complaint.startswith(f"{service.ops_url} is the ops listener")
        assert "RECEIVER_PORT" in complaint
        assert await service.sql.fetchval("SELECT count(DISTINCT message_id) FROM sms.message") <= 5
