"""Every page, with every field that a stranger controls hostile: nothing of it becomes markup, a link or a command.

The pages are found by the table of routes and by their own links and forms, so that a new one is looked at as well.
"""

import csv
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit

import pytest
from markupsafe import Markup as Safe
from support import hostile
from support.hostile import MARK, VALUES
from support.markup import Form, Markup
from support.service import Service
from support.shared import shared_service
from support.visitor import Page, Visitor, visiting

from receiver.pages import rendering, routes
from receiver.telemetry.visible import visible

MOST_OF_A_ROUTE = 50
"""Pages of one route that are looked at: filters and periods can be put together without end."""

SILENT = {"/codes", "/codes.csv", "/callbacks", "/settings", "/login", "/spool", "/rejected/replay", "/rejected/purge"}
SILENT |= {"/overdue.csv", "/downloads/{download}"}
"""Pages that tell of nothing that a stranger has sent."""


@pytest.fixture(scope="module")
async def service(cluster: str, template: str) -> AsyncIterator[Service]:
    async with shared_service(cluster, template) as service:
        await hostile.tell(service)
        yield service


def route_of(path: str) -> str:
    """The route that answers a path, as it is registered."""
    for method, pattern, _ in routes.ROUTES:
        if method == "GET" and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path):
            return pattern
    return path


@dataclass
class Walk:
    """A visit of all pages. `told` are the routes with something of a stranger's on them."""

    visitor: Visitor
    seen: set[str] = field(default_factory=set)
    counted: Counter[str] = field(default_factory=Counter)
    told: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    changes: dict[str, tuple[str, Form]] = field(default_factory=dict)

    async def through(self, paths: list[str]) -> None:
        waiting = list(paths)
        while waiting:
            path = waiting.pop(0)
            route = route_of(urlsplit(path).path)
            if path in self.seen or route.startswith("/static") or self.counted[route] >= MOST_OF_A_ROUTE:
                continue
            self.seen.add(path)
            self.counted[route] += 1
            waiting += self.look(path, route, await self.visitor.get(path))

    def look(self, path: str, route: str, page: Page) -> list[str]:
        """Find the faults of a page. The pages that it leads to."""
        if (
            page.headers["Cache-Control"] != "no-store"
            or "script-src 'self'" not in page.headers["Content-Security-Policy"]
        ):
            self.faults.append(f"{path}: headers {page.headers}")
        if page.status >= 500 or "Traceback" in page.text:
            self.faults.append(f"{path}: {page.status}")
        if MARK in page.text:
            self.told.add(route)
        if page.headers.get("Content-Type", "").startswith("text/csv"):
            self.faults += [f"{path}: {fault}" for fault in csv_faults(page.text)]
            return []
        if page.location:
            self.faults += [] if page.location.startswith("/") else [f"{path}: leads to {page.location}"]
            return [page.location]
        if not page.headers.get("Content-Type", "").startswith("text/html"):
            as_json = page.headers.get("Content-Type", "").startswith("application/json")
            if page.text and not as_json and not page.headers.get("Content-Disposition", "").startswith("attachment"):
                self.faults.append(f"{path}: a browser shows {page.headers}")
            return []
        markup = Markup(page.text)
        self.faults += [f"{path}: {fault}" for fault in markup.faults()]
        for form in markup.forms:
            if form.method == "post":
                self.changes.setdefault(route_of(form.action or urlsplit(path).path), (path, form))
        asked = [
            f"{urljoin(path, form.action)}?{query}"
            for form in markup.forms
            if form.method == "get"
            for query in queries(form)
        ]
        links = [urljoin(path, link) for link in markup.links if not urlsplit(link).scheme]
        return [as_browsers_send(link.partition("#")[0]) for link in (*asked, *links)]


def as_browsers_send(link: str) -> str:
    return quote(link, safe="%/?&=+;:@!$'(),~*.-_|{}[]^`")


def queries(form: Form) -> list[str]:
    """What a stranger's link may ask a page for: each field hostile, alone and all together."""
    given = dict.fromkeys(form.fields, "")
    alone = [given | {name: value} for name in form.fields for value in VALUES[:3]]
    together = [dict.fromkeys(form.fields, value) for value in VALUES]
    return [urlencode(one) for one in (*alone, *together, {VALUES[0]: VALUES[1]})]


def csv_faults(text: str) -> list[str]:
    """Cells that a spreadsheet would compute (OWASP: CSV injection); a number with its sign, masked or not, is none."""
    cells = (cell for row in csv.reader(text.splitlines()) for cell in row)
    return [
        f"formula {cell!r}" for cell in cells if cell[:1] in set("=+-@\t\r") and not re.fullmatch(r"[+-]?[\d.*]+", cell)
    ]


def beginnings() -> list[str]:
    """Every page that needs no parameter."""
    listed = [path for method, path, _ in routes.ROUTES if method == "GET" and "{" not in path]
    return ["/", *listed, *routes.BESIDE, "/downloads/0123456789abcdef"]


async def test_nothing_that_a_stranger_sends_is_more_than_text_on_any_page(service: Service) -> None:
    async with visiting(service.ops_url) as visitor:
        walk = Walk(visitor)
        await walk.through(beginnings())
        assert walk.faults[:20] == []
        pages = {path for method, path, _ in routes.ROUTES if method == "GET"} | routes.BESIDE.keys()
        assert pages - walk.counted.keys() == set(), "no link leads there, or the walk has not found it"
        assert pages - walk.told <= SILENT, "there is nothing of a stranger's on it: the walk proves nothing"
        await send_forms(walk)
        assert walk.faults[:20] == []


async def test_the_stream_has_no_sign_that_hides_or_reverses_text(service: Service) -> None:
    async with service.client.get(f"{service.ops_url}/live/events?last=100") as stream:
        lines = [(await stream.content.readline()).decode() for _ in range(150)]
    told = "".join(lines)
    assert MARK in told
    assert visible(told, keep="\n") == told


async def send_forms(walk: Walk) -> None:
    """Every form that changes something, with hostile fields and then as it is."""
    assert walk.changes
    walk.counted.clear()
    for route, (path, form) in walk.changes.items():
        action = urljoin(path, form.action)
        csrf = {"csrf": form.fields["csrf"]}
        for sent in (*(dict.fromkeys(form.fields, value) | csrf for value in VALUES), form.fields):
            page = await walk.visitor.post(action, sent)
            assert page.status != 403, page.text
            walk.look(f"POST {action}", route, page)
            await walk.through([page.location] if page.location else [])


async def test_the_walk_finds_a_filter_that_does_not_escape(
    cluster: str, template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `| safe` would in its place."""
    monkeypatch.setitem(rendering.FILTERS, "shown", lambda value: Safe(str(value)))
    async with shared_service(cluster, template) as service:
        body = dict(parse_qsl("smsMsgId=1&status=DELIVRD&to=%2B8615512345678")) | {"smsMsgId": VALUES[1]}
        await service.post(
            "/callback/huawei/report", urlencode(body), **{"Content-Type": "application/x-www-form-urlencoded"}
        )
        async with visiting(service.ops_url) as visitor:
            walk = Walk(visitor)
            walk.look("/messages", "/messages", await visitor.get("/messages"))
    assert any("element img" in fault for fault in walk.faults)
    assert any("onerror" in fault for fault in walk.faults)
