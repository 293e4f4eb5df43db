"""Where the browser comes from: it is skipped with the reason where it cannot be had, and fetched once."""

from pathlib import Path

import pytest
from support import browser as browsers
from support import debian


@pytest.fixture(autouse=True)
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of what was fetched, on a machine without apt-get and Chromium."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(debian, "_FETCHED", tmp_path)
    return tmp_path


def test_without_a_way_to_it_the_reason_names_what_to_install() -> None:
    with pytest.raises(debian.NotAvailableError, match="install chromium"):
        browsers.program()


def test_what_was_fetched_before_needs_no_package_lists(fetched: Path) -> None:
    (fetched / "chromium").mkdir()
    assert browsers.program()[0] == str(fetched / "chromium/usr/lib/chromium/chromium")
