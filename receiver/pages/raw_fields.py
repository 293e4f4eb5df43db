"""The fields of a platform's report as it came, for people; numbers in them are masked, or not."""

import json
from typing import Any, Final

from receiver.telemetry.masking import mask_msisdn, scrub

_MAX_FIELDS: Final = 200
_MAX_CHARACTERS: Final = 4_000

_TAIL: Final = 7
"""Digits at the end of a number by which it is recognised, however it is written."""


def fields(raw: str | None, hidden: str | None = None, *, full: bool) -> list[tuple[str, str]]:
    """Names and values of a JSON object's fields; a structure within is JSON again.

    Unless `full`, everything in it that may be a number is masked, and surely the `hidden` one.
    """
    document = json.loads(raw) if raw else {}
    whole: dict[str, Any] = document if isinstance(document, dict) else {"": document}
    pairs = [(str(name), _text(value)) for name, value in list(whole.items())[:_MAX_FIELDS]]
    return pairs if full else [(masked(name, hidden), masked(value, hidden)) for name, value in pairs]


def masked(text: str, hidden: str | None) -> str:
    """The text without numbers."""
    scrubbed = scrub(text)
    tail = (hidden or "")[-_TAIL:]
    return str(mask_msisdn(hidden)) if len(tail) == _TAIL and tail in scrubbed else scrubbed


def _text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}… ({len(text):,} characters)"
