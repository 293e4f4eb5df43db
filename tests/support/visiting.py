"""A service's pages, as a browser without scripts gets them."""

import html
import re
from dataclasses import dataclass

from yarl import URL

from support.service import Service

_TAG = re.compile(r"<[^>]*>")
_LINK = re.compile(r'<a\b[^>]*?href="([^"]*)"[^>]*>(.*?)</a>', re.DOTALL)
_ACCEPT = {"Accept": "text/html,application/xhtml+xml"}


@dataclass(frozen=True)
class Seen:
    """An answer: its status, where it came from in the end, and its source."""

    status: int
    path: str
    source: str
    headers: dict[str, str]

    @property
    def text(self) -> str:
        """What a person reads, with single spaces."""
        body = self.source.partition("<main")[2].partition("</main>")[0]
        return " ".join(html.unescape(_TAG.sub(" ", body)).split())

    @property
    def links(self) -> dict[str, str]:
        """The addresses of its links, by their words."""
        found = _LINK.findall(self.source)
        return {html.unescape(_TAG.sub("", words)).strip(): html.unescape(href) for href, words in found}

    def value(self, name: str) -> str | None:
        """What stands in a field of a form."""
        field = re.search(rf'<input[^>]*name="{name}"[^>]*>', self.source)
        value = re.search(r'value="([^"]*)"', field[0]) if field else None
        return html.unescape(value[1]) if value else None


async def visit(service: Service, path: str) -> Seen:
    """GET, as a browser follows it."""
    async with service.client.get(URL(service.ops_url + path, encoded=True), headers=_ACCEPT) as response:
        return Seen(response.status, response.url.raw_path_qs, await response.text(), dict(response.headers))
