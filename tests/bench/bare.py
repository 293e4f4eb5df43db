"""(a) The ceiling of the framework: an aiohttp handler that reads the body, parses and stores nothing, and answers.

python -m bench.bare PORT
"""

import sys

import uvloop
from aiohttp import web

from bench.serving import serve

_GOOD = b'{"returnCode":0,"returnCodeDesc":"Success"}'


async def handle(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(body=_GOOD, headers={"Content-Type": "application/json; charset=utf-8"})


def main() -> None:
    app = web.Application()
    app.router.add_post("/callback/{path:.*}", handle)
    uvloop.run(serve(app, int(sys.argv[1])))


if __name__ == "__main__":
    main()
