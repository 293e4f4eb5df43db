"""The two tables of docs/settings.md, from the settings."""

from collections.abc import Iterable
from typing import Final

from pydantic import ByteSize
from pydantic.fields import FieldInfo

from receiver.settings import Settings, variable

TO_KNOW: Final = (
    "database_url",
    "data_dir",
    "host",
    "port",
    "callback_tokens",
    "tls_certificate",
    "tls_key",
    "push_keys",
    "allowed_addresses",
    "trusted_proxies",
    "ops_host",
    "ops_port",
    "ops_token",
    "spool_max_bytes",
    "retention_days",
    "log_level",
)
"""The settings that every installation decides about, as one meets them; all others are tuning."""


def tables() -> tuple[str, str]:
    """The settings to know, and the others: variable, default, meaning."""
    return _table(TO_KNOW), _table(name for name in Settings.model_fields if name not in TO_KNOW)


def _table(names: Iterable[str]) -> str:
    fields = Settings.model_fields
    rows = [f"| `{variable(name)}` | {_default(fields[name])} | {fields[name].description} |" for name in names]
    return "\n".join(("| variable | default | meaning |", "|---|---|---|", *rows))


def _default(info: FieldInfo) -> str:
    """A default as one writes it in the environment."""
    told = info.json_schema_extra
    if isinstance(told, dict) and "default" in told:
        return str(told["default"])
    if info.default is None or info.default == ():
        return "unset"
    if isinstance(info.default, ByteSize):
        return f"`{info.default.human_readable(separator='')}`".replace(".0", "")
    return f"`{str(info.default).lower() if isinstance(info.default, bool) else info.default}`"
