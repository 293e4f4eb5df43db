"""What the pages tell of."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from receiver.settings import Settings
from receiver.web.ops import Ops


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The running service. `callbacks` is the URL of the callback listener's `/`; None for a service without one."""

    settings: Settings
    ops: Ops
    callbacks: str | None


SITE: Final = web.AppKey("site", Site)
