"""Conditions in SQL of what somebody asks for; every value is an argument."""

from datetime import datetime
from typing import Final

from receiver.reading.filters import FAILED, NONE, UNDER_WAY, Filters

COUNTED: Final = ("provider", "country", "reason", "code")
"""Filters that stand for a column of the same name, in lists and in `sms.hourly`."""


_NULLABLE: Final = ("country", "reason")


class Where:
    """Conditions joined by AND, and their arguments, $1 first."""

    def __init__(self, *args: object) -> None:
        self.args: list[object] = list(args)
        self._conditions: list[str] = []

    def add(self, condition: str, *values: object) -> None:
        """Add a condition; each `{}` in it stands for the next value."""
        self._conditions.append(condition.format(*(self.arg(value) for value in values)))

    def arg(self, value: object) -> str:
        """The value's place, `$3`."""
        self.args.append(value)
        return f"${len(self.args)}"

    def __str__(self) -> str:
        """As it stands behind WHERE."""
        return " AND ".join(self._conditions) or "true"

    def between(self, column: str, since: datetime, until: datetime) -> None:
        """Of this time, the end excluded."""
        self.add(f"{column} >= {{}} AND {column} < {{}}", since, until)

    def equals(self, column: str, value: str) -> None:
        """With this value, or with none where `-` asks for that."""
        if value == NONE and column in _NULLABLE:
            self.add(f"{column} IS NULL")
        else:
            self.add(f"{column} = {{}}", value)

    def state(self, filters: Filters) -> None:
        """By platform, country, status, reason and code."""
        for name in COUNTED:
            if (value := getattr(filters, name)) is not None:
                self.equals(name, value)
        if filters.status == FAILED:
            self.add("final AND status <> 'delivered'")
        elif filters.status == UNDER_WAY:
            self.add("NOT final")
        elif filters.status is not None:
            self.add("status = {}", filters.status)

    def sender(self, filters: Filters) -> None:
        """By sender id."""
        if filters.sender is not None:
            self.add("sender = {}", filters.sender)
