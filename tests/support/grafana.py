"""What Grafana makes of a dashboard's query before it sends it to PostgreSQL: variables first, then macros.

By its own sources: the formats of `@grafana/scenes`, the macros of the PostgreSQL data source.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import asyncpg

_FOLDER: Final = Path(__file__).parents[2] / "deploy" / "grafana"

DASHBOARDS: Final = ("receiver", "delivery")
ALL: Final = "$__all"

Value = str | list[str]
"""A list where several values can be chosen."""

_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\$(?!__)(\w+)")
_MACRO: Final = re.compile(r"\$__(\w+)\(([^()]*)\)")


FIELD: Final = re.compile(r"\$\{__data\.fields\.(\w+)(?::percentencode)?\}")
"""A column of the row, in a link."""


class Panel(NamedTuple):
    """A panel, and what it asks of PostgreSQL."""

    title: str
    json: dict[str, Any]
    queries: tuple[str, ...]


def dashboard(name: str) -> dict[str, Any]:
    """As an operator imports it."""
    found: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def panels(name: str) -> Iterator[Panel]:
    """Those that ask PostgreSQL."""
    for panel in dashboard(name)["panels"]:
        if queries := tuple(one["rawSql"] for one in panel.get("targets", ()) if "rawSql" in one):
            yield Panel(panel["title"], panel, queries)


def variables(name: str) -> dict[str, dict[str, Any]]:
    """By name."""
    return {one["name"]: one for one in dashboard(name)["templating"]["list"]}


async def opened(
    name: str, connection: "asyncpg.Connection[asyncpg.Record]", since: datetime, until: datetime
) -> dict[str, Value]:
    """The values of the variables when the dashboard is opened."""
    found: dict[str, Value] = {}
    for variable in variables(name).values():
        if variable["type"] == "query" and variable["datasource"]["uid"] == "${sql}":
            rows = await connection.fetch(expand(variable["query"], found, since, until))
            options = [row[0] for row in rows]
        else:
            options = str(variable["query"]).split(",")
        chosen = variable.get("current", {}).get("value", "")
        found[variable["name"]] = options if chosen == ALL else chosen
    return found


def expand(query: str, values: Mapping[str, Value], since: datetime, until: datetime) -> str:
    """The SQL that PostgreSQL is sent. KeyError for what there is not."""

    def variable(found: re.Match[str]) -> str:
        return _FORMATS[found[2] or "sqlstring"](values[found[1] or found[3]])

    def macro(found: re.Match[str]) -> str:
        low, high = _literal(since), _literal(until)
        return {
            "timeFilter": f"{found[2]} BETWEEN {low} AND {high}",
            "timeFrom": low,
            "timeTo": high,
        }[found[1]]

    return _MACRO.sub(macro, _VARIABLE.sub(variable, query))


def _literal(moment: datetime) -> str:
    return f"'{moment.astimezone(UTC).isoformat().replace('+00:00', 'Z')}'"


def _sql_string(value: Value) -> str:
    return ",".join("'" + one.replace("'", "''") + "'" for one in ([value] if isinstance(value, str) else value))


_FORMATS: Final = {"sqlstring": _sql_string}
