"""Scripts of migrations, cut into statements."""

import pytest

from receiver.store import schema
from receiver.store.statements import statements

SCRIPTS = sorted((schema.folder() / "sql").glob("**/*.sql"))


def test_a_semicolon_inside_of_something_ends_nothing() -> None:
    one = "-- not; here\nSELECT ';', \"a;b\", 'it''s; so', $$ x; $$, $a$ $$;$$ $a$ /* nor; here */ - 1 / 2;"
    assert list(statements(f"{one}\nSELECT 2;\n\n-- the end; of it\n")) == [one, "\nSELECT 2;"]
    assert list(statements("SELECT 1")) == ["SELECT 1"]
    assert list(statements(" \n")) == []


@pytest.mark.parametrize("script", SCRIPTS, ids=[f"{path.parent.name}/{path.stem}" for path in SCRIPTS])
def test_nothing_of_a_script_is_lost(script) -> None:
    text = script.read_text()
    parts = list(statements(text))
    assert text.startswith("".join(parts))
    assert all(part.rstrip().endswith(";") for part in parts)
    assert all(part.count("$$") % 2 == 0 for part in parts)
