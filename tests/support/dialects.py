"""The least that each callback URL understands, and the shape of its answers: a template among its fixtures."""

from collections.abc import Collection
from functools import cache
from typing import Any

from receiver.providers import ENDPOINTS
from support.cases import Case, cases

ENDPOINT_PATHS = sorted(ENDPOINTS)
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


@cache
def _templates() -> dict[str, Case]:
    return {case.expected["endpoint"]: case for case in cases() if "template" in case.expected}


def own_name(path: str, name: str) -> str:
    """The message id, or where there is none the text, of the good body of that name: each URL has its own."""
    return f"{name}-{path.replace('/', '-')}"


def good_body(path: str, name: str, *, fill: str = "x") -> bytes:
    """A body that is understood: `name` makes it one of its own, `fill` makes it as long as one likes."""
    return _templates()[path].body.replace(b"NAME", name.encode()).replace(b"FILL", fill.encode())


def is_form(path: str) -> bool:
    """Whether the platform sends forms; if not, it is JSON."""
    return good_body(path, "form")[:1] not in b"{["


def sized_body(path: str, name: str, size: int) -> bytes:
    """A good body of just so many bytes."""
    body = good_body(path, name)
    if is_form(path):
        return (body + b"&more=").ljust(size, b"y")
    return good_body(path, name, fill="y" * (1 + size - len(body)))


def content_type(path: str) -> str:
    """The media type that the platform sends."""
    return str(_templates()[path].expected["content_type"])


def known_by(path: str) -> set[str]:
    """The fields that stay as they came, or cost the item."""
    return set(_templates()[path].expected["template"]["known_by"])


def tells_of(path: str) -> str:
    """`reports` or `replies`."""
    return "reports" if _templates()[path].expected["reports"] else "replies"


def assert_good(path: str, answer: Any) -> None:
    expected = _templates()[path].expected
    assert _has(answer, expected["answer"], but=expected["template"].get("repeats", ())), answer


def assert_bad(path: str, answer: Any, *, busy: bool = False) -> None:
    """An error in the shape of the URL's provider."""
    good, template = _templates()[path].expected["answer"], _templates()[path].expected["template"]
    assert isinstance(answer, type(good))
    assert answer
    assert not _has(answer, good), answer
    if isinstance(good, dict):
        texts = [name for name in good if isinstance(good[name], str) and name not in template.get("repeats", ())]
        assert answer.keys() >= good.keys()
        assert all(answer[name] for name in texts), answer
        assert _has(answer, template.get("busy_answer" if busy else "bad_answer", {})), answer


def _has(answer: Any, wanted: Any, but: Collection[str] = ()) -> bool:
    """Whether it is this text, or has these members, but for what an answer repeats of the request."""
    if isinstance(wanted, str):
        return bool(answer == wanted)
    return all(answer.get(name) == value for name, value in wanted.items() if name not in but)


def stored(path: str, name: str) -> tuple[str, str]:
    """SQL that counts what the good body of that name has left behind, and its argument."""
    kind = tells_of(path)
    (row,) = _templates()[path].expected[kind]
    column = next(column for column, value in row.items() if value == own_name(path, "NAME"))
    view = {"reports": "delivery_report", "replies": "reply"}[kind]
    return f"SELECT count(*) AS n FROM sms.{view} WHERE {column} = $1", own_name(path, name)
