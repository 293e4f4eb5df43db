"""Reading settings from environment variables and a `.env`, with errors that name the variable and no secret."""

from collections.abc import Collection
from typing import Any, Final, TypeVar

from pydantic import ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from receiver.errors import OperatorError

PREFIX: Final = "RECEIVER_"
ENV_FILE: Final = ".env"

_PLACEHOLDER: Final = "CHANGE-ME"
"""Stands in `deploy/` for a value that the operator has to choose."""

_VALUE_MAX: Final = 60
"""Most characters of a wrong value in an error text."""

M = TypeVar("M", bound=BaseSettings)


class SettingsError(OperatorError):
    """An unusable setting; the text names its environment variable, and never a secret's value.

    `problems` has one text for each; `fields` are the names of the model's fields that have one of their own.
    """

    def __init__(self, *problems: str, fields: Collection[str] = ()) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems
        self.fields = frozenset(fields)


class FromEnvironment(BaseSettings):
    """Base of settings that are read from the environment and `.env`. An empty variable counts as unset."""

    model_config = SettingsConfigDict(
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _reject_placeholder(cls, value: object) -> object:
        """Refuse placeholders: the examples are public, so a secret copied from them is none."""
        if isinstance(value, str) and _PLACEHOLDER in value.upper():
            raise ValueError(f"still says {_PLACEHOLDER}, as the example does: put a value of your own there")
        return value


def read(model: type[M], **instead: Any) -> M:  # noqa: ANN401 - of each field its own type
    """Settings of this model, from the same places; `instead` of what stands there, values by field.

    Raises SettingsError, with variables' names and no secrets.
    """
    fields: set[str] = set()
    try:
        return model(**instead)
    except ValidationError as error:
        problems = [_problem(model, one["loc"], one["msg"], one["input"]) for one in error.errors()]
        fields.update(str(one["loc"][0]) for one in error.errors() if one["loc"])
    except (OSError, UnicodeDecodeError) as error:
        problems = [f"the file {ENV_FILE} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}"]
    # Raised out here, without pydantic's error as its context: that one holds the value.
    raise SettingsError(*problems, fields=fields)


def _problem(model: type[BaseSettings], location: tuple[int | str, ...], said: str, value: object) -> str:
    said = said.removeprefix("Value error, ")
    if not location:
        return said
    name = str(location[0])
    variable_name = f"{model.model_config.get('env_prefix')}{name.upper()}"
    return f"{variable_name}: {said[:1].lower()}{said[1:]}{_quoted(model, name, said, value)}"


def _quoted(model: type[BaseSettings], name: str, said: str, value: object) -> str:
    """The value, unless it may hold a secret, or the message begins with it."""
    field = model.model_fields.get(name)
    if field is None or "Secret" in str(field.annotation) or not isinstance(value, str):
        return ""
    if said.startswith(value) or "/callback/" in value or "@" in value:  # a URL with a token or a password in it
        return ""
    return f" (it is {value[:_VALUE_MAX]!r})"
