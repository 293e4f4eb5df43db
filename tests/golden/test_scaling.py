"""docs/scaling.md shows what `make plan` computes with, and what it says: `make golden` writes its tables anew."""

import os

from plan import costs, page
from support.golden import UPDATE


def test_the_tables_of_the_page_are_those_of_the_program() -> None:
    there = page.FILE.read_text(encoding="utf-8")
    wanted = page.renewed(there, costs.load())
    if os.environ.get(UPDATE):
        page.FILE.write_text(wanted, encoding="utf-8")
        return
    assert there == wanted, "`make golden` writes the tables anew; the prose may name figures of them"
