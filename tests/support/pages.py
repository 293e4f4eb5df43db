"""The documentation's pages, as the tests that hold them to the truth read them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", *(str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs").glob("*.md"))))

_QUERY = re.compile(r"^( *)```sql\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)

_TITLE = re.compile(r"^(?:\*\*(.+?)\*\*|#+ (.+))", re.MULTILINE)


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def queries(name: str) -> list[str]:
    """The SQL on a page."""
    return [found[2] for found in _QUERY.finditer(page(name))]


def asked() -> dict[str, str]:
    """Every query of the pages about the views, by the bold words or heading before it."""
    found: dict[str, str] = {}
    for name in PAGES:
        text = page(name)
        for block in _QUERY.finditer(text):
            title = [one[1] or one[2] for one in _TITLE.finditer(text, 0, block.start())][-1]
            again = "".join(", again" for known in found if known.startswith(f"{name}: {title}"))
            if "pg_stat" not in block[2]:
                found[f"{name}: {title}{again}"] = block[2].rstrip().rstrip(";")
    return found
