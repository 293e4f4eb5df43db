"""Queries a running service by its ops listener, for data that cannot be read from the disk meanwhile."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from receiver.addresses import url_of
from receiver.errors import OperatorError
from receiver.settings import Settings, variable

_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=30)

_ADVICE: Final = {
    401: f"wants its token: set {variable('ops_token')} as the service has it",
    403: f"does not answer to this name: set {variable('ops_host')} as the service has it",
    404: f"is no ops listener of ours: set {variable('ops_host')} and {variable('ops_port')} as the service has them",
}


class NoAnswer(OperatorError):
    """The running service cannot be reached, or does not answer."""


@asynccontextmanager
async def ops_response(settings: Settings, path: str) -> AsyncIterator[aiohttp.ClientResponse]:
    """A successful response to a GET of `path`. Raises NoAnswer, from within the block too."""
    if settings.ops_port == 0:
        raise NoAnswer(f"{variable('ops_port')}=0: set it to the port that the running service says in its log")
    url = url_of(settings.ops_host, settings.ops_port)
    token = settings.ops_token.get_secret_value() if settings.ops_token else None
    headers = {"Authorization": f"Bearer {token}"} if token else None
    try:
        async with (
            aiohttp.ClientSession(headers=headers, timeout=_TIMEOUT) as client,
            client.get(url + path) as response,
        ):
            if not response.ok:
                raise NoAnswer(f"{url} {_ADVICE.get(response.status, f'answers {response.status}')}")
            yield response
    except aiohttp.ContentTypeError as error:
        raise NoAnswer(f"{url} {_ADVICE[404]}") from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise NoAnswer(
            f"the service that runs on {variable('data_dir')}={settings.data_dir} does not answer at {url}: "
            f"set {variable('ops_host')} and {variable('ops_port')} as it has them"
        ) from error
