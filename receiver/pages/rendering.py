"""Templates: the environment, its filters, and the answer of a page.

Every value is escaped (autoescape), and its control characters and reversed text are made visible.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import quote

import aiohttp_jinja2
import jinja2
from aiohttp import web

from receiver.extras import DISTRIBUTION
from receiver.pages.compiling import COMPILING, Compiled, Compiling
from receiver.pages.forms import csrf_field
from receiver.telemetry.masking import mask_msisdn
from receiver.telemetry.visible import visible
from receiver.web.ops_session import session_of

_CODE: Final = Compiled()
_SIZES: Final = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"), (1, "B"))
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def set_up(app: web.Application, menu: Sequence[tuple[str, str]]) -> None:
    """Make the application's template environment. Templates that name an unknown variable fail."""
    env = aiohttp_jinja2.setup(
        app,
        loader=jinja2.PackageLoader("receiver.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        bytecode_cache=_CODE,
    )
    app[COMPILING] = Compiling(env)
    env.filters.update(FILTERS)
    env.globals.update(menu=menu, version=version(DISTRIBUTION))


def render(request: web.Request, template: str, context: Mapping[str, Any]) -> web.Response:
    """The page of a template."""
    session = session_of(request)
    whole = {
        "path": request.path,
        "now": datetime.now(UTC),
        "csrf": partial(csrf_field, request),
        "is_signed_in": session is not None and session.is_signed_in,
        **context,
    }
    return aiohttp_jinja2.render_template(template, request, whole)


def grouped(number: float | None) -> str:
    """`1234567` → `1,234,567`; None → `–`."""
    return "–" if number is None else f"{number:,}"


def percent(share: float | None) -> str:
    """`0.987` → `98.7 %`; None → `–`."""
    return "–" if share is None else f"{100 * share:.1f} %"


def points(difference: float | None) -> str:
    """The difference of two shares in percentage points: `0.0042` → `+0.4`; None → `–`."""
    return "–" if difference is None else f"{100 * difference:+.1f}".replace("-", "−")


def duration(seconds: float | None) -> str:
    """In the greatest unit that fits: `90` → `1.5 min`, `86400` → `1 d`; None → `–`."""
    if seconds is None:
        return "–"
    sign, size = ("−" if seconds < 0 else ""), abs(seconds)
    unit, name = next(((unit, name) for unit, name in _UNITS if size >= unit), (1, "s"))
    return f"{sign}{size / unit:.3g} {name}"


def size(number: float | None) -> str:
    """Bytes in the greatest unit that fits: `1536` → `1.5 KiB`; None → `–`."""
    if number is None:
        return "–"
    unit, name = next(((unit, name) for unit, name in _SIZES if number >= unit), (1, "B"))
    return f"{number / unit:.3g} {name}"


def timestamp(at: datetime | None) -> str:
    """`2026-11-20 10:28:19`, in UTC as every time on the pages; None → `–`."""
    return "–" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def ago(at: datetime | None) -> str:
    """How long ago; None → `–`."""
    return "–" if at is None else f"{duration(max(0.0, (datetime.now(UTC) - at).total_seconds()))} ago"


def segment(text: str) -> str:
    """A text as one segment of a URL's path; a slash in it is no separator."""
    return quote(text, safe="")


def shown(value: object) -> str:
    """A stranger's text with control characters and reversed text made visible; None → `–`."""
    return "–" if value is None else visible(str(value))


def _harmless(value: object) -> object:
    """Whatever a template prints has nothing in it that reverses or hides text; what is markup was made here."""
    is_text = isinstance(value, str) and not hasattr(value, "__html__")
    return visible(str(value), keep="\n") if is_text else value


FILTERS: Final = {
    "grouped": grouped,
    "percent": percent,
    "points": points,
    "duration": duration,
    "size": size,
    "timestamp": timestamp,
    "ago": ago,
    "segment": segment,
    "shown": shown,
    "masked": lambda number: mask_msisdn(number) or "–",
}
"""Filters of the templates, by name."""
