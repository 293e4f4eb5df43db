"""Phone numbers in any way of writing them, as the E.164 numbers that may be meant."""

import re
from functools import lru_cache
from typing import Final

import phonenumbers

from receiver.providers.fields import e164

_MAX: Final = 64
_GAPS: Final = re.compile(r"[\s\-\u2010-\u2015./()\uff08\uff09\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")
"""Also the invisible marks that come along when one copies a number from a contact."""

_SCHEME: Final = re.compile(r"^\s*tel:", re.IGNORECASE)
"""RFC 3966: a number as a link has it."""

_E164: Final = range(5, 16)
"""Digits of a number that is taken as it is."""

_BETWEEN: Final = re.compile(r"[,;\n]")

_REGIONS: Final = ("CN", "HK", "MO", "TW", "SG", "MY", "TH", "ID", "PH", "VN", "JP", "KR", "IN", "US", "GB", "AU")
"""Countries that are tried for a number without a country code. Not all: the tables of each take time to load."""


def several(text: str) -> tuple[str, ...]:
    """As `candidates`, of numbers with commas or semicolons between."""
    parts = [part for part in _BETWEEN.split(text) if part.strip()]
    return tuple(dict.fromkeys(number for part in parts or [text] for number in candidates(part)))


def candidates(text: str) -> tuple[str, ...]:
    """The numbers that this may be; several where the country is left open. Raises ValueError with a sentence."""
    if len(text) > _MAX:
        raise ValueError("is too long for a phone number")
    if "*" in text:
        raise ValueError("is masked: write the number in full")
    return _candidates(text)


@lru_cache(maxsize=256)
def _candidates(text: str) -> tuple[str, ...]:
    digits = "".join(
        str(int(one)) if one.isdecimal() else one for one in _GAPS.sub("", _SCHEME.sub("", text).replace("\uff0b", "+"))
    )
    if not digits.removeprefix("+").isdecimal():
        raise ValueError("is no phone number: write it with its country code, such as +86 155 1234 5678")
    found = [_international(digits)]
    if not digits.startswith("+"):
        found += [_national(digits, region) for region in _REGIONS]
    numbers = tuple(dict.fromkeys(number for number in found if number))
    if not numbers:
        raise ValueError("is no phone number that can be: write it with its country code, such as +86 155 1234 5678")
    return numbers


def _international(digits: str) -> str | None:
    """The number as one with a country code: after `+`, after `00`, or bare. With `+` it may be one that cannot be."""
    bare = digits.removeprefix("+") if digits.startswith("+") else digits.removeprefix("00")
    found = e164(f"+{bare}")[0]
    return digits if found is None and digits.startswith("+") and len(bare) in _E164 else found


def _national(digits: str, region: str) -> str | None:
    try:
        parsed = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(parsed):
        return None
    return e164(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))[0]
