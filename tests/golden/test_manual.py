"""Pages for man, scripts for shells and the table for completion are what the commands make of them: `make man`."""

import os
from pathlib import Path

from support.golden import UPDATE
from support.manual import TABLE, files

CHECKOUT = Path(__file__).parents[2]


def test_each_file_is_what_the_commands_make_of_it() -> None:
    wanted = files()
    there = {str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "deploy" / "share").rglob("*") if path.is_file()}
    if os.environ.get(UPDATE):
        for name in there - set(wanted):
            (CHECKOUT / name).unlink()
        for name, text in wanted.items():
            (CHECKOUT / name).parent.mkdir(parents=True, exist_ok=True)
            (CHECKOUT / name).write_text(text, encoding="utf-8")
        return
    assert there | {TABLE} == set(wanted), "`make man` writes them anew"
    differ = [name for name, text in wanted.items() if (CHECKOUT / name).read_text(encoding="utf-8") != text]
    assert differ == [], "`make man` writes them anew"
