"""PostgreSQL's plans, and what is wrong with them: a table that is read from end to end, days that were left out."""

import re
from collections.abc import Iterator
from typing import Any

PARTITION = re.compile(r"(report|submission|reply)_\d{8}")


def nodes(plan: dict[str, Any], limited: bool = False) -> Iterator[tuple[dict[str, Any], bool]]:  # noqa: FBT002
    """Each node, and whether one above it takes a few rows."""
    limited = limited or plan["Node Type"] == "Limit"
    yield plan, limited
    for below in plan.get("Plans", ()):
        yield from nodes(below, limited)


def misses(plan: dict[str, Any], most_days: int | None = None) -> list[str]:
    """What is wrong with a plan; `most_days` is how many partitions of one table it may read."""
    found = []
    scanned: dict[str, set[str]] = {}
    for node, limited in nodes(plan):
        table, kind = node.get("Relation Name", ""), node["Node Type"]
        if partition := PARTITION.fullmatch(table):
            scanned.setdefault(partition[1], set()).add(table)
        bounded = "Index Cond" in node or "Recheck Cond" in node or node.get("Index Name") == "message_awaited_since"
        if (table in ("message", "message_count") or partition) and not (bounded or (limited and "Index" in kind)):
            found.append(f"{kind} of {table}")
    if most_days is not None:
        found += [f"{len(names)} days of {parent}" for parent, names in scanned.items() if len(names) > most_days]
    return found
