"""The optional parts of an installation: `pip install 'delivery-report-receiver[name]'` brings each of them."""

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Final

from receiver.errors import OperatorError

DISTRIBUTION: Final = "delivery-report-receiver"


class MissingExtraError(OperatorError):
    """Something needs a part that was not installed."""


def require(extra: str, modules: Iterable[str], *, why: str, instead: str) -> None:
    """Raise MissingExtraError unless the top-level modules that the extra brings are there; none is imported.

    `why` names the setting and the part that it needs, `instead` the way to do without.
    """
    if any(find_spec(module) is None for module in modules):
        raise MissingExtraError(f"{why} is not installed: pip install '{DISTRIBUTION}[{extra}]', or {instead}")
