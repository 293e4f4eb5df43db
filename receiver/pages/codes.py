"""`/codes`: the meanings of the platforms' status codes, searched in the catalogue; no database is asked."""

import csv
import io
from typing import Final, NamedTuple

from aiohttp import hdrs, web

from receiver import catalogue
from receiver.pages.rendering import render

_SHOWN: Final = 200
"""Most rows on a page; the CSV has all."""

_COLUMNS: Final = ("provider", "code", "status", "reason", "final", "meaning", "advice", "carriers")


class Search(NamedTuple):
    """`query`: words, each of which must be in a row; `provider`: one platform's codes alone, empty for all."""

    query: str
    provider: str

    @classmethod
    def of(cls, request: web.Request) -> "Search":
        """From `q` and `provider` in the URL."""
        return cls(request.query.get("q", "").strip(), request.query.get("provider", ""))

    def rows(self) -> list[catalogue.Code]:
        """The rows of exactly this code first."""
        exact = catalogue.find(self.query, self.provider or None) if self.query else []
        words = self.query.casefold().split()
        return exact + [row for row in catalogue.entries() if row not in exact and self._fits(row, words)]

    def _fits(self, row: catalogue.Code, words: list[str]) -> bool:
        if self.provider and row.provider != self.provider:
            return False
        text = f"{row.code} {row.status} {row.reason or ''} {row.meaning} {row.advice}".casefold()
        return all(word in text for word in words)


async def search(request: web.Request) -> web.Response:
    """The page; other pages link to a code's meaning as `/codes?q=CODE&provider=NAME`."""
    asked = Search.of(request)
    rows = asked.rows()
    context = {
        "rows": rows[:_SHOWN],
        "found": len(rows),
        "query": asked.query,
        "provider": asked.provider,
        "providers": catalogue.providers(),
        "csv": f"/codes.csv?{request.rel_url.raw_query_string}".removesuffix("?"),
    }
    return render(request, "codes.html", context)


async def as_csv(request: web.Request) -> web.Response:
    """All rows that are found, with every column."""
    written = io.StringIO()
    lines = csv.writer(written)
    lines.writerow(_COLUMNS)
    lines.writerows([getattr(row, name) for name in _COLUMNS] for row in Search.of(request).rows())
    headers = {hdrs.CONTENT_DISPOSITION: 'attachment; filename="codes.csv"'}
    return web.Response(text=written.getvalue(), content_type="text/csv", charset="utf-8", headers=headers)
