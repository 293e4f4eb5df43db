"""What somebody asks for: one model for the query of a page's URL and for the options of a command."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self
from urllib.parse import quote, urlencode

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator

from receiver.errors import OperatorError
from receiver.reading import numbers, periods
from receiver.reading.periods import Period
from receiver.report import Reason, Status

FAILED: Final = "failed"
"""Every final status but `delivered`."""

UNDER_WAY: Final = "under_way"
"""Every status that is not final."""

NONE: Final = "-"
"""Where there is no value: a country that is not known, a failure without a reason."""

STATUSES: Final = (*(status.value for status in Status), FAILED, UNDER_WAY)
REASONS: Final = (*(reason.value for reason in Reason), NONE)

_MAX: Final = 512
"""Characters; no id, code or sender that a platform sends is longer than this and still to be found by it."""


class FilterError(OperatorError):
    """Something cannot be asked for; `problems` has a sentence for each filter, by its name."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {said}" for name, said in problems.items()))
        self.problems = dict(problems)


def _text(value: str) -> str:
    if len(value) > _MAX:
        raise ValueError(f"is longer than {_MAX} characters")
    if any(ord(one) < ord(" ") or "\ud800" <= one <= "\udfff" for one in value):
        raise ValueError("has characters that cannot be searched for")
    return value


def _one_of(allowed: tuple[str, ...]) -> Callable[[str], str]:
    def check(value: str) -> str:
        lower = value.lower()
        if lower not in allowed:
            raise ValueError(f"is none of {', '.join(allowed)}")
        return lower

    return check


def _country(value: str) -> str:
    upper = value.upper()
    if upper != NONE and not (len(upper) == len("CN") and upper.isascii() and upper.isalpha()):
        raise ValueError(f"is no country's two letters, such as CN; {NONE} is an unknown one")
    return upper


def _number(value: str) -> str:
    numbers.several(value)
    return value


def _flag(value: str) -> str:
    if value.lower() not in ("1", "yes", "true", "on"):
        raise ValueError("is either 1 or left out")
    return "1"


Text = Annotated[str, AfterValidator(_text)]
Time = Annotated[Text, AfterValidator(periods.check)]


class Filters(BaseModel):
    """Every filter there is, as text that was checked; each list uses those that it has a meaning for.

    Made by `parse`. `since` and `until` stay as they were written, so that a link to "the last day" goes on meaning it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    since: Time | None = None
    until: Time | None = None
    provider: Text | None = None
    country: Annotated[Text, AfterValidator(_country)] | None = None
    status: Annotated[Text, AfterValidator(_one_of(STATUSES))] | None = None
    reason: Annotated[Text, AfterValidator(_one_of(REASONS))] | None = None
    code: Text | None = None
    sender: Text | None = None
    number: Annotated[Text, AfterValidator(_number)] | None = None
    message_id: Text | None = None
    correlation: Text | None = None
    error: Text | None = None
    """Part of the error of a rejected payload, upper or lower case."""
    replayed: Annotated[Text, AfterValidator(_flag)] | None = None
    """Also rejected payloads that were replayed."""

    @model_validator(mode="after")
    def _check_period(self) -> Self:
        self.period(datetime.now(UTC))
        return self

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> Self:
        """From a URL's query or a command's options: what is empty is not asked for. Raises FilterError."""
        wanted = {name: text for name in cls.model_fields if (text := str(given.get(name) or "").strip())}
        try:
            return cls.model_validate(wanted)
        except ValidationError as error:
            problems = {str((*one["loc"], "since")[0]): _sentence(one) for one in error.errors()}
        raise FilterError(problems)

    def changed(self, **changes: str | None) -> Self:
        """With other values for some; None takes one away. Raises FilterError."""
        return self.parse({name: text for name, text in (self.given | changes).items() if text is not None})

    @property
    def given(self) -> dict[str, str]:
        """The filters that are set, as text."""
        return self.model_dump(exclude_none=True)

    @property
    def is_look_up(self) -> bool:
        """Whether it names one message, or those of one subscriber."""
        return bool(self.number or self.message_id or self.correlation)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The numbers in E.164 that `number` may mean; it may be several, comma-separated."""
        return numbers.several(self.number) if self.number else ()

    def period(self, now: datetime) -> Period:
        """The times between; where none is named the last day, and for a look-up the last month."""
        since = self.since or (periods.LOOK_UP if self.is_look_up else periods.DAY)
        return periods.period(since, self.until, now)

    def query(self, **changes: str | None) -> str:
        """A URL's query of these filters; without `?`, empty where nothing is set."""
        merged = {name: text for name, text in (self.given | changes).items() if text is not None}
        return urlencode(merged, quote_via=quote)

    def link(self, path: str, **changes: str | None) -> str:
        """A URL of this path and these filters; `changes` may have others' parameters, such as a cursor."""
        query = self.query(**changes)
        return f"{path}?{query}" if query else path


def _sentence(error: Any) -> str:  # noqa: ANN401 - pydantic's
    return str(error["msg"]).removeprefix("Value error, ")
