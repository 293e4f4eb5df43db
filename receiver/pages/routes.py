"""The pages of the ops listener: their routes and their menu."""

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from aiohttp import web

from receiver.pages import (
    callbacks,
    codes,
    downloads,
    lists,
    live,
    login,
    message,
    messages,
    overdue,
    overview,
    rejected,
    rejected_changes,
    rendering,
    settings_in_force,
    spool,
    static_files,
)
from receiver.pages.compiling import compile_templates
from receiver.pages.errors import explain_errors
from receiver.pages.forms import check_forms
from receiver.pages.headers import set_headers
from receiver.pages.negotiation import pages_for_browsers
from receiver.pages.sending import Sender
from receiver.pages.site import SITE, Site
from receiver.reading.export import KINDS
from receiver.web.login_limit import LoginLimit
from receiver.web.ops_token import LOGIN, STATIC

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class MenuEntry(NamedTuple):
    """A page in the menu; the page of `path` and those below it are marked as the current one."""

    path: str
    label: str


MENU: Final[tuple[MenuEntry, ...]] = (
    MenuEntry("/", "Overview"),
    MenuEntry("/messages", "Messages"),
    MenuEntry("/live", "Live"),
    MenuEntry("/overdue", "Overdue"),
    MenuEntry("/rejected", "Rejected"),
    MenuEntry("/replies", "Replies"),
    MenuEntry("/codes", "Codes"),
    MenuEntry("/callbacks", "Callbacks"),
    MenuEntry("/spool", "Spool"),
    MenuEntry("/settings", "Settings"),
)

ROUTES: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("GET", "/", overview.show),
    ("GET", "/messages", messages.listing),
    ("GET", "/messages/{provider}/{message_id}", message.story),
    ("GET", "/reports", lists.reports),
    ("GET", "/live", live.live),
    ("GET", "/overdue", overdue.overdue),
    ("GET", "/rejected", lists.rejected),
    ("GET", "/rejected/replay", rejected_changes.ask_replay),
    ("POST", "/rejected/replay", rejected_changes.do_replay),
    ("GET", "/rejected/purge", rejected_changes.ask_purge),
    ("POST", "/rejected/purge", rejected_changes.do_purge),
    ("GET", "/rejected/{rejected_id}", rejected.payload),
    ("GET", "/rejected/{rejected_id}/body", rejected.body),
    ("GET", "/replies", lists.replies),
    *(("GET", f"/{kind}.csv", downloads.of(kind)) for kind in KINDS),
    ("GET", "/downloads/{download}", downloads.progress),
    ("GET", "/codes", codes.search),
    ("GET", "/codes.csv", codes.as_csv),
    ("GET", "/callbacks", callbacks.show),
    ("POST", "/callbacks/tokens", callbacks.show_tokens),
    ("POST", "/callbacks/test", callbacks.send_test),
    ("GET", "/settings", settings_in_force.show),
    ("GET", LOGIN, login.form),
    ("POST", LOGIN, login.log_in),
    ("POST", "/logout", login.log_out),
)

BESIDE: Final[dict[str, Handler]] = {"/spool": spool.show}
"""Pages at URLs of `web.ops`, for browsers."""


def add_pages(app: web.Application, site: Site) -> None:
    """Add the pages to the ops listener's application."""
    app[SITE] = site
    rendering.set_up(app, MENU)
    app[login.LIMIT] = LoginLimit()
    app[callbacks.SENDER] = Sender()
    app.cleanup_ctx.append(overview.sharing)
    app.middlewares[:0] = (compile_templates, explain_errors)  # what the guards refuse is explained too
    app.middlewares.extend((check_forms, pages_for_browsers(BESIDE)))
    app.on_response_prepare.append(set_headers)
    app.on_shutdown.append(_end_downloads)
    app.router.add_get(f"{STATIC}{{name}}", static_files.send)
    for method, path, handler in ROUTES:
        app.router.add_route(method, path, handler)


async def _end_downloads(app: web.Application) -> None:
    """A stop waits for no file of a million rows."""
    app[SITE].downloads.abort()
