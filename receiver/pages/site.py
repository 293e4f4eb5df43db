"""What the pages tell of."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from receiver.pages.progress import Downloads
from receiver.reading.reader import Reader
from receiver.settings import Settings
from receiver.store.racing import Refusal
from receiver.web.ops import Ops


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The running service.

    `callbacks` is the URL of the callback listener's `/`; None for a service without one. Pages ask the `reader`; those
    that change something do so in the service's own database, on a host of `database_url` that is not `refused`, and
    hold `changing`; what takes long to make is made in a thread, and holds `telling`.
    """

    settings: Settings
    ops: Ops
    callbacks: str | None
    reader: Reader
    database_url: str
    refused: Refusal
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    telling: asyncio.Lock = field(default_factory=asyncio.Lock)
    downloads: Downloads = field(default_factory=Downloads)


SITE: Final = web.AppKey("site", Site)
