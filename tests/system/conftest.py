"""Tests beside other people's programs: what cannot be had here is skipped, with the reason."""

from collections.abc import Callable

import pytest
from support import debian


@pytest.fixture(scope="session")
def program() -> Callable[..., list[str]]:
    """How to call a program of Debian's packages; the test is skipped where there is no way to it."""

    def command(name: str, *packages: str) -> list[str]:
        try:
            return debian.command(name, *packages)
        except debian.NotAvailableError as error:
            pytest.skip(str(error))

    return command
