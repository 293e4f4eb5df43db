"""Settings that pulling needs, whatever the platform: each has a prefix of its own (`RECEIVER_<PLATFORM>_PULL_`)."""

from collections.abc import Iterable
from typing import Annotated, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from receiver.setting_types import Seconds
from receiver.settings import ENV_FILE, SettingsError

S = TypeVar("S", bound="PullSettings")

CallsPerSecond = Annotated[float, Field(gt=0, le=50, allow_inf_nan=False)]


class PullSettings(BaseSettings):
    """A subclass sets `env_prefix`, and adds its credentials. An empty variable counts as one that is not set."""

    model_config = SettingsConfigDict(
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        str_strip_whitespace=True,
    )

    interval_s: Seconds = Field(5.0, description="Seconds between calls while the platform has nothing more.")
    max_calls_per_s: CallsPerSecond = Field(10.0, description="Most calls a second of each API, while it has more.")
    timeout_s: Seconds = Field(10.0, description="Seconds to connect, and to wait for more of an answer.")


def variable(model: type[PullSettings], name: str) -> str:
    """The environment variable of a field."""
    return f"{model.model_config['env_prefix']}{name.upper()}"


def variables(models: Iterable[type[PullSettings]]) -> set[str]:
    """The names of all their environment variables."""
    return {variable(model, name) for model in models for name in model.model_fields}


def read(model: type[S]) -> S:
    """The settings of this process. Raises SettingsError, with the variable's name and never a secret's value."""
    try:
        return model()
    except ValidationError as error:
        message = "; ".join(_problem(model, one["loc"], one["msg"]) for one in error.errors(include_input=False))
    except (OSError, UnicodeDecodeError) as error:
        message = f"the file {ENV_FILE} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}"
    # Raised out here so that what pydantic knows, the value with it, does not hang on to the error.
    raise SettingsError(message)


def _problem(model: type[PullSettings], location: tuple[int | str, ...], said: str) -> str:
    said = said.removeprefix("Value error, ")
    return f"{variable(model, str(location[0]))}: {said[:1].lower()}{said[1:]}" if location else said
