"""The documentation's pages, as the tests that hold them to the truth read them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", *(str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs").glob("*.md"))))

_QUERY = re.compile(r"^( *)```sql\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def queries(name: str) -> list[str]:
    """The SQL on a page."""
    return [found[2] for found in _QUERY.finditer(page(name))]
