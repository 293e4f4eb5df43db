"""The proxies that may stand in front of receivers: each is told apart by its name alone."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from support import haproxy, nginx
from support.front import Front, Place

_PROXIES: Final = {"haproxy": haproxy, "nginx": nginx}
NAMES: Final = tuple(_PROXIES)


def running(
    name: str, program: Callable[..., list[str]], folder: Path, places: Sequence[Place]
) -> AbstractContextManager[Front]:
    """The proxy before three receivers while the block runs; `program` is the fixture, which skips."""
    proxy = _PROXIES[name]
    return proxy.running(program(name, *proxy.PACKAGES), folder, places)
