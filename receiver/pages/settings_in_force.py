"""`/settings`: the settings that this service runs with. Of a secret it tells that there is one, and no more."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from aiohttp import web
from pydantic import ByteSize, SecretStr

from receiver.database_hosts import without_password
from receiver.pages.rendering import render
from receiver.pages.site import SITE
from receiver.settings import Settings, variable

_UNSET: Final = "unset"
_URLS: Final = frozenset(("database_url", "read_database_url"))


class Setting(NamedTuple):
    """`value` as text, without a secret in it; `given`: it was set, perhaps to its default."""

    variable: str
    value: str
    description: str
    given: bool


async def show(request: web.Request) -> web.Response:
    """Those that were set first."""
    rows = in_force(request.app[SITE].settings)
    return render(
        request,
        "settings.html",
        {"given": [row for row in rows if row.given], "defaults": [row for row in rows if not row.given]},
    )


def in_force(settings: Settings) -> list[Setting]:
    """Every setting, in the order in which they are declared."""
    return [
        Setting(
            variable=variable(name),
            value=_shown(name, getattr(settings, name)),
            description=field.description or "",
            given=name in settings.model_fields_set,
        )
        for name, field in type(settings).model_fields.items()
    ]


def _shown(name: str, value: object) -> str:
    if value is None or value in ((), {}):
        return _UNSET
    if isinstance(value, SecretStr):
        return without_password(value.get_secret_value()) if name in _URLS else "set"
    if isinstance(value, tuple) and any(isinstance(one, SecretStr) for one in value):
        return f"{len(value)} set"
    return _plain(value)


def _plain(value: Any) -> str:  # noqa: ANN401 - a setting's value of any type
    if isinstance(value, ByteSize):
        return f"{int(value)} ({value.human_readable()})"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_plain(one)}" for name, one in value.items())
    if isinstance(value, tuple):
        return ", ".join(map(_plain, value))
    return str(value)
