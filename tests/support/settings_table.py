"""The README's table of settings, from the settings."""

from pydantic import ByteSize
from pydantic.fields import FieldInfo

from receiver.settings import Settings, variable


def markdown_table() -> str:
    """Every setting for the documentation: variable, default, meaning."""
    rows = [
        f"| `{variable(name)}` | {_default(info)} | {info.description} |"
        for name, info in Settings.model_fields.items()
    ]
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
