"""Phone numbers, callback tokens and message texts made unreadable, for logs (design, section 6). Pure."""

import re
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

Scrub = Callable[[str], str]

STARS: Final = "****"
"""Always four, however many digits are hidden: the length of a number is a hint."""

MAX_TEXT: Final = 4_000
"""Characters of one text that are scrubbed and kept: a driver's error can quote a whole batch."""

MAX_ERROR: Final = 4 * MAX_TEXT
"""Characters of an error in which quoted values are searched for: a long value may stand before others."""

MAX_ITEMS: Final = 50
MAX_DEPTH: Final = 4
"""Items and levels of a container that are kept."""

MANY_DIGITS: Final = 1_000_000_000
"""An integer of this size may be a phone number, unless its key names a quantity."""

HIDDEN_KEYS: Final = frozenset(("body", "text", "content", "raw", "payload", "headers", "authorization", "cookie")) | {
    "token",
    "tokens",
    "password",
    "secret",
    "database_url",
}
"""Keys that are never logged, in upper or lower case."""

_SHOWN: Final = ((10, 3, 4), (8, 1, 3), (6, 0, 2), (0, 0, 0))
"""(digits after the country code, at least; digits shown at the start; at the end)."""


def mask_msisdn(number: str | None) -> str | None:
    """`+8615512345678` → `+86155****5678`, of short numbers fewer digits. None and masked numbers stay as they are."""
    if not number or STARS in number:
        return number
    international = number[0] == "+"
    digits = number[1:] if international else number
    if not (digits.isascii() and digits.isdigit()):
        digits = "".join(str(int(character)) for character in digits if character.isdecimal())
    prefix = _country_prefix(digits) if international else 0
    national = digits[prefix:]
    head, tail = next((head, tail) for least, head, tail in _SHOWN if len(national) >= least)
    plus = "+" if international else ""
    return f"{plus}{digits[:prefix]}{national[:head]}{STARS}{national[len(national) - tail :]}"


def _country_prefix(digits: str) -> int:
    """Length of the country code (ITU-T E.164: one to three digits, none a prefix of another); 0: none."""
    return next((size for size in (1, 2, 3) if _is_country(digits[:size])), 0)


def _is_country(digits: str) -> bool:
    return bool(digits) and int(digits) in COUNTRY_CODE_TO_REGION_CODE


_KEPT: Final = r"""
    (?P<kept>
      # UUIDs, and message ids made of one and a short counter
      (?<![0-9A-Za-z])[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}(?:_[0-9]{1,9})?(?![0-9A-Za-z])
      # ISO dates, alone or with a time
    | (?<!\d)(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])-[0-3][0-9]
      (?:[T\ ][0-2][0-9]:[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]{1,9})?)?(?:Z|[+-][0-2][0-9]:?[0-5][0-9])?)?(?!\d)
      # the compact form, and the date in the name of a partition
    | (?<!\d)(?:19|20)[0-9]{6}T[0-9]{6}Z
    | (?<=_)p?20[0-9]{2}(?:0[1-9]|1[0-2])[0-3][0-9](?!\d)
      # hexadecimal ids; in one of ten or more digits on end a number could hide
    | (?<![0-9A-Za-z])(?=[0-9]*[A-Fa-f])(?![A-Fa-f0-9]*?[0-9]{10})[0-9A-Fa-f]{16,64}(?![0-9A-Za-z])
    | (?<![0-9A-Za-z])0x7[0-9a-f]{11}(?![0-9A-Za-z])
    )
"""
_PLUS: Final = r"(?:[+\uff0b]|%2[Bb]|\\u002[Bb]|&\#43;)"
_GAP: Final = r"[\ \-()\u00a0\u2007\u2009-\u2015\u202f]|%20|%2[89Dd]"
_NUMBER: Final = rf"(?:{_PLUS}(?:(?:{_GAP}|[./]){{0,3}}\d){{6,}} | \d(?:(?:{_GAP}){{0,3}}\d){{6,}})"
_NUMBER_OR_KEPT: Final = re.compile(rf"{_KEPT}|{_NUMBER}", re.VERBOSE)

_MAYBE_NUMBER: Final = re.compile(r"\d(?:\D{0,3}\d){5}")
"""Matches every text with a number in it; a text without one is rejected ten times faster than by the full pattern."""

_PATH_TOKEN: Final = re.compile(r"(?i)(/callback/[\w-]+/[\w-]+/)[^\s/?#\"'<>\\]+")
_PASSWORD: Final = re.compile(r"(?i)(postgres(?:ql)?://[^\s:/@]*:)[^\s/]*@")
_PASSWORD_IN_QUERY: Final = re.compile(r"(?i)([?&](?:ssl)?password=)[^\s&\"']+")

# Libraries quote payloads in their errors: pydantic the value, the driver the argument, PostgreSQL the row. A value can
# hold anything, line ends included, so each match may run to the end of the text. No part of a text is matched twice:
# the work is linear in its length.
_QUOTED: Final = (
    re.compile(r"(input_value=).*?(, input_type=|\Z)", re.DOTALL),
    re.compile(r"(invalid input for query argument \$\d+: ).*()", re.DOTALL),
    re.compile(r"(\bDETAIL: +).*?(\nHINT: |\Z)", re.DOTALL),
    re.compile(r"(Failing row contains ).*()", re.DOTALL),
    re.compile(r"(invalid input syntax for [\w ]{1,80}: ).*()", re.DOTALL),
)


def _mask_match(match: re.Match[str]) -> str:
    if match["kept"]:
        return match[0]
    text = match[0]
    digits = re.sub(rf"{_PLUS}|{_GAP}|[./]", "", text, flags=re.VERBOSE)
    international = not text[0].isdecimal()
    return str(mask_msisdn(f"+{digits}" if international else digits))


def _hide(match: re.Match[str]) -> str:
    return f"{match[1]}***{match[2]}"


def scrub(text: str) -> str:
    """The text with phone numbers, tokens in callback paths and database passwords masked.

    Times, UUIDs and hexadecimal ids stay. Ids of digits alone cannot be told from phone numbers: keep them out of texts
    and log them under a key in `PLAIN_KEYS`.
    """
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}…"
    if "/" in text:
        text = _PASSWORD.sub(r"\1***@", _PATH_TOKEN.sub(r"\1***", text))
        text = _PASSWORD_IN_QUERY.sub(r"\1***", text)
    return _NUMBER_OR_KEPT.sub(_mask_match, text) if _MAYBE_NUMBER.search(text) else text


def scrubber(tokens: Iterable[str] = ()) -> Scrub:
    """A `scrub` that also masks these secrets anywhere in a text."""
    secrets = sorted({token for token in tokens if token}, key=len, reverse=True)
    if not secrets:
        return scrub
    known = re.compile("|".join(re.escape(secret) for secret in secrets))
    return lambda text: scrub(known.sub("***", text))


def scrub_error(text: str, scrub: Scrub = scrub) -> str:
    """The text of an exception with the values that libraries quote masked."""
    if len(text) > MAX_ERROR:  # at a blank: half a secret would not be recognised
        text = f"{text[:MAX_ERROR].rsplit(None, 1)[0]}…"
    for quoted in _QUOTED:
        text = quoted.sub(_hide, text)
    return scrub(text)


def clean(value: object, scrub: Scrub = scrub, depth: int = 0) -> object:
    """The value as JSON types, with every text scrubbed and hidden keys removed."""
    if value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < MANY_DIGITS):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, BaseException):
        return scrub_error(f"{type(value).__name__}: {value}", scrub)
    if depth < MAX_DEPTH and isinstance(value, Mapping):
        pairs = [(str(key), item) for key, item in list(value.items())[:MAX_ITEMS]]
        return {scrub(k): clean(v, scrub, depth + 1) for k, v in pairs if k.lower() not in HIDDEN_KEYS}
    if depth < MAX_DEPTH and isinstance(value, list | tuple | set | frozenset):
        return [clean(item, scrub, depth + 1) for item in list(value)[:MAX_ITEMS]]
    return scrub(str(value))


def format_exception(error: BaseException, scrub: Scrub = scrub) -> str:
    """The traceback, each exception's own text scrubbed separately: there a quoted value ends with the text."""
    text = "".join(traceback.format_exception(error)).rstrip()
    for one in _chain(error):
        if isinstance(one, BaseExceptionGroup):  # its members' texts are indented: scrub to the end
            return scrub_error(text, scrub)
        own_text = "".join(traceback.format_exception_only(one)).rstrip()
        text = text.replace(own_text, scrub_error(own_text, scrub))
    return "\n".join(map(scrub, text.split("\n")))


def _chain(error: BaseException) -> list[BaseException]:
    """The exception with its causes and contexts, each once."""
    chain: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and one not in chain:
            chain.append(one)
            waiting += [one.__cause__, one.__context__]
    return chain
