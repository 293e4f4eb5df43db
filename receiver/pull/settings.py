"""Settings of pulling that all platforms share, each with a prefix of its own (`RECEIVER_<PLATFORM>_PULL_`)."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from receiver.setting_types import Seconds
from receiver.settings import FromEnvironment

CallsPerSecond = Annotated[float, Field(gt=0, le=50, allow_inf_nan=False)]


class PullSettings(FromEnvironment):
    """A subclass sets `env_prefix` and adds its credentials; `receiver.settings.read` reads it."""

    model_config = SettingsConfigDict(str_strip_whitespace=True)

    interval_s: Seconds = Field(5.0, description="Seconds between calls while the platform has nothing more.")
    max_calls_per_s: CallsPerSecond = Field(10.0, description="Most calls a second of each API, while it has more.")
    timeout_s: Seconds = Field(10.0, description="Seconds to connect, and to wait for more of an answer.")


def variable(model: type[PullSettings], name: str) -> str:
    """The environment variable of a field."""
    return f"{model.model_config['env_prefix']}{name.upper()}"


def variables(models: Iterable[type[PullSettings]]) -> set[str]:
    """The names of all their environment variables."""
    return {variable(model, name) for model in models for name in model.model_fields}
