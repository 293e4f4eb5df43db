"""`/codes`: what the platforms' status codes mean, searched in the catalogue; no database is asked."""

from typing import Final

from aiohttp import web

from receiver import catalogue
from receiver.pages.rendering import render

_SHOWN: Final = 200
"""Most rows on a page."""


async def search(request: web.Request) -> web.Response:
    """`q`: words, each of which must be in a row; `provider`: one platform's codes alone."""
    words = request.query.get("q", "").casefold().split()
    provider = request.query.get("provider", "")
    exact = catalogue.find(request.query.get("q", "").strip(), provider or None) if words else []
    rows = exact + [row for row in catalogue.entries() if row not in exact and _matches(row, provider, words)]
    context = {
        "rows": rows[:_SHOWN],
        "found": len(rows),
        "query": request.query.get("q", ""),
        "provider": provider,
        "providers": catalogue.providers(),
    }
    return render(request, "codes.html", context)


def _matches(row: catalogue.Code, provider: str, words: list[str]) -> bool:
    if provider and row.provider != provider:
        return False
    text = f"{row.code} {row.status} {row.reason or ''} {row.meaning} {row.advice}".casefold()
    return all(word in text for word in words)
