"""`/static/…`: each file by its name in a table, so that no path is ever made of what a request says."""

from pathlib import Path
from typing import Final

from aiohttp import web

_FILES: Final = {file.name: file for file in (Path(__file__).parent / "static").iterdir()}


async def send(request: web.Request) -> web.FileResponse:
    """One file. Raises HTTPNotFound."""
    file = _FILES.get(request.match_info["name"])
    if file is None:
        raise web.HTTPNotFound
    return web.FileResponse(file)
