"""Compiles all templates before the first page, in a thread: on the event loop that takes a callback's time, 0.2 s."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

import jinja2
from aiohttp import web
from aiohttp.typedefs import Handler

from receiver.web.ops_refusals import wants_page


class Compiled(jinja2.BytecodeCache):
    """In memory, for every application of this process."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        if code := self._code.get(bucket.key):
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


@dataclass(slots=True)
class Compiling:
    """Whether it is done for this environment."""

    env: jinja2.Environment
    done: bool = False
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self) -> None:
        """Return once all templates are compiled."""
        async with self._lock:
            if not self.done:
                await asyncio.to_thread(self._compile)
                self.done = True

    def _compile(self) -> None:
        for name in self.env.list_templates():
            self.env.get_template(name)


COMPILING: Final = web.AppKey("compiling", Compiling)


@web.middleware
async def compile_templates(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware for the first request of a browser; others may still come without any template."""
    compiling = request.app[COMPILING]
    if not compiling.done and wants_page(request):
        await compiling()
    return await handler(request)
