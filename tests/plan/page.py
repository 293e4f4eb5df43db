"""The tables of docs/scaling.md, which are this program's: `make golden` and `make bench` write them anew."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from plan import costs, text
from plan.assumptions import Assumptions
from plan.costs import Table

FILE: Final = Path(__file__).parents[2] / "docs" / "scaling.md"

_TABLES: Final[dict[str, Callable[[Table, Assumptions], str]]] = {
    "steps": text.ladder_grid,
    "rates": text.rates_grid,
    "costs": lambda table, _: f"Taken: {table.taken}. * is assumed.\n\n{text.costs_grid(table)}",
}


def renewed(page: str, table: Table) -> str:
    """The page, with each table between its two comments as it is now. Raises ValueError where one has no place."""
    for name, render in _TABLES.items():
        parts = re.split(rf"(?<=<!-- {name} -->\n).*?(?=<!-- end -->)", page, maxsplit=1, flags=re.DOTALL)
        if len(parts) != 2:
            raise ValueError(f"docs/scaling.md has no place for the table {name!r}")
        page = f"{parts[0]}\n{render(table, Assumptions())}\n\n{parts[1]}"
    return page


def keep(found: Mapping[str, float], taken: str) -> None:
    """Let the table of costs, and the page, have what was measured."""
    table = costs.keep(found, taken)
    FILE.write_text(renewed(FILE.read_text(encoding="utf-8"), table), encoding="utf-8")
