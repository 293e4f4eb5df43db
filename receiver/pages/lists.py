"""The lists beside the messages': reports, replies, rejected payloads."""

from aiohttp import web

from receiver.pages.asked import Asked, show_list
from receiver.reading import lists
from receiver.reading.paging import Page
from receiver.reading.reader import Reader
from receiver.reading.rows import Rejected, Reply, Report


async def reports(request: web.Request) -> web.Response:
    """`/reports`: reports, one by one."""
    return await show_list(request, "reports.html", _reports)


async def replies(request: web.Request) -> web.Response:
    """`/replies`: messages of subscribers."""
    return await show_list(request, "replies.html", _replies)


async def rejected(request: web.Request) -> web.Response:
    """`/rejected`: rejected payloads, with the filters of `receiver rejected list`."""
    return await show_list(request, "rejected.html", _rejected)


async def _reports(reader: Reader, asked: Asked) -> Page[Report]:
    return await lists.reports(reader, asked.filters, now=asked.now, older=asked.older)


async def _replies(reader: Reader, asked: Asked) -> Page[Reply]:
    return await lists.replies(reader, asked.filters, now=asked.now, older=asked.older)


async def _rejected(reader: Reader, asked: Asked) -> Page[Rejected]:
    return await lists.rejected(reader, asked.filters, now=asked.now, older=asked.older)
