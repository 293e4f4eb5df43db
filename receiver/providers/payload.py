"""Strict parsing of bodies into items, shared by all adapters.

Every body is hostile. Anything that can't be parsed raises PayloadError with a sentence for an operator, which quotes
nothing of the body.
"""

import json
import math
import re
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, NoReturn, TypeVar
from urllib.parse import unquote_to_bytes

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError

from receiver.report import MAX_SEGMENTS

MAX_ITEMS: Final = 5_000
MAX_FIELDS: Final = 1_000
MAX_DEPTH: Final = 32
MAX_TEXT: Final = 256
MAX_NAME: Final = 32
MAX_DIGITS: Final = 18
"""A number with more digits is kept as text: PostgreSQL's numeric is bounded, and orjson's integers have 64 bits."""

Item = Mapping[str, object]
T = TypeVar("T")
W = TypeVar("W", bound="Wire")


class PayloadError(Exception):
    """A body, or one item of it, can't be parsed. The text gives the reason, for an operator."""


class _Ambiguous(dict[str, object]):
    """A JSON object with a duplicate key: its meaning is undefined (RFC 8259, section 4)."""

    key = ""


class _Repeated(list[str]):
    """The different values of a repeated form field."""


class UnstorableError(PayloadError):
    """A text holds a character that PostgreSQL can't store: U+0000, or half of a UTF-16 surrogate pair."""


class _Mended(str):
    """A text in which U+FFFD has replaced such a character."""

    __slots__ = ()


class _Verbatim:
    """Marks an identifying field: if it holds such a character, the item is refused."""


class Wire(BaseModel):
    """Base of the wire models: numbers may be sent as texts and texts as numbers, and further fields are ignored."""

    model_config = ConfigDict(coerce_numbers_to_str=True, extra="ignore", frozen=True)


def scalar_text(value: object) -> str | None:
    """A text or a number as text; None for anything else and for an empty text."""
    if isinstance(value, str):
        return value.strip() or None
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _short_text(value: object) -> str | None:
    text = scalar_text(value)
    return text if text is not None and len(text) <= MAX_TEXT else None


def _segment_number(value: object) -> int | None:
    text = value.strip() if isinstance(value, str) else scalar_text(value)
    return _SEGMENT_NUMBERS.get(text) if text is not None and len(text) <= len("255") else None


_SEGMENT_NUMBERS: Final = {f"{number:0{width}}": number for number in range(1, MAX_SEGMENTS + 1) for width in (1, 2, 3)}


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT), _Verbatim()]
OptionalText = Annotated[str | None, BeforeValidator(scalar_text)]
OptionalCode = Annotated[
    Annotated[str, StringConstraints(max_length=MAX_TEXT)] | None, BeforeValidator(scalar_text), _Verbatim()
]
ShortText = Annotated[str | None, BeforeValidator(_short_text)]
"""A field that is copied from a packet into each of its reports: None if it is longer than MAX_TEXT."""
SegmentNumber = Annotated[int | None, BeforeValidator(_segment_number)]


def read(model: type[W], item: Item) -> W:
    """The item as its wire model. Raises PayloadError, which names the invalid fields."""
    if not _MARKS.isdisjoint(map(type, item.values())):
        _refuse_marked(model, item)
    try:
        # As `model_validate`, which takes half as long again.
        wire: W = model.__pydantic_validator__.validate_python(item)
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg'].lower()}" for e in error.errors(include_url=False))
        raise PayloadError("; ".join(problems)) from None
    return wire


_MARKS: Final = frozenset((_Repeated, _Mended))


def _refuse_marked(model: type[Wire], item: Item) -> None:
    for name, field in model.model_fields.items():
        value = item.get(field.alias or name)
        if isinstance(value, _Repeated):
            raise PayloadError(f"{field.alias or name} stands twice with different values")
        if isinstance(value, _Mended) and any(isinstance(mark, _Verbatim) for mark in field.metadata):
            raise PayloadError(f"{field.alias or name} holds {_UNSTORABLE}")


def as_json_text(value: object) -> str:
    """The value as a JSON text that PostgreSQL's jsonb accepts. Raises UnstorableError, PayloadError."""
    if isinstance(value, _CONTAINERS):
        _check(value, MAX_DEPTH)
    try:
        text = orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        raise UnstorableError(f"it holds {_UNSTORABLE}") from error
    if "\\u0000" in text and _has_nul(value):
        raise UnstorableError(f"it holds {_UNSTORABLE}")
    return text


_CONTAINERS: Final = (dict, list)
_UNSTORABLE: Final = "U+0000 or half of a UTF-16 surrogate pair, which PostgreSQL can't store"
_NO_CHARACTER: Final = re.compile("[\0\ud800-\udfff]")
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"


def _mended(value: object, depth: int = 2 * MAX_DEPTH) -> object:
    """The value with U+FFFD for each such character, in names too. Deeper nesting is refused elsewhere."""
    if isinstance(value, str):
        return _Mended(_NO_CHARACTER.sub(_REPLACEMENT, value)) if _NO_CHARACTER.search(value) else value
    if isinstance(value, _Ambiguous) or depth == 0:
        return value
    if isinstance(value, dict):
        return {str(_mended(name)): _mended(inner, depth - 1) for name, inner in value.items()}
    if isinstance(value, list):
        return type(value)(_mended(inner, depth - 1) for inner in value)
    return value


def mending(build: Callable[[Item], T], item: Item, faults: list[str], where: str = "") -> T:
    """The result of `build(item)`, after such characters have been replaced if need be; that is added to `faults`."""
    try:
        return build(item)
    except UnstorableError:
        built = build(as_object(_mended(item)))
    faults.append(f"{where}stored with U+FFFD for {_UNSTORABLE}")
    return built


def _check(value: dict[str, object] | list[object], depth: int) -> None:
    if depth == 0:
        raise PayloadError(f"it is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, _Ambiguous):
        raise PayloadError(f"the key {value.key} stands twice in one object")
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, _CONTAINERS):
            _check(inner, depth - 1)


def _has_nul(value: object) -> bool:
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(inner) for key, inner in value.items())
    if isinstance(value, list):
        return any(map(_has_nul, value))
    return isinstance(value, str) and "\0" in value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    unique = dict(pairs)
    if len(unique) == len(pairs):
        return unique
    ambiguous = _Ambiguous(unique)
    seen = Counter(name for name, _ in pairs)
    # Escaped: the key is quoted in error texts, which must hold neither U+0000 nor half of a surrogate pair.
    ambiguous.key = ascii(next(name for name in seen if seen[name] > 1)[:MAX_NAME])[1:-1]
    return ambiguous


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= MAX_DIGITS else digits


def _float(digits: str) -> float | str:
    value = float(digits)
    return value if math.isfinite(value) and len(digits) <= MAX_TEXT else digits


def _refuse_constant(name: str) -> NoReturn:
    raise PayloadError(f"not JSON: {name} is no JSON number")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_refuse_constant
)


def text_of(body: bytes) -> str:
    """The body as text. Always decoded as UTF-8: platforms that declare Latin-1 send UTF-8 all the same."""
    try:
        text = body.removeprefix(BOM_UTF8).decode().strip()
    except UnicodeDecodeError as error:
        raise PayloadError(f"not UTF-8: byte {error.start} fits no character") from None
    if not text:
        raise PayloadError("the body is empty")
    return text


def looks_like_json(text: str) -> bool:
    """Whether it is JSON and not a form: JSON bodies begin with a bracket, and no platform's form does."""
    return text[0] in "{["


def parse_json(text: str, *, may_follow: str = "") -> object:
    """The JSON value. `may_follow` is text that a platform is known to append. Raises PayloadError."""
    try:
        value, end = _DECODER.raw_decode(text)
    except json.JSONDecodeError as error:
        raise PayloadError(f"not JSON: {error.msg.lower()} at character {error.pos}") from None
    except RecursionError:
        raise PayloadError("not JSON that anybody wrote: it is nested without end") from None
    if text[end:].strip() not in ("", may_follow):
        raise PayloadError(f"not JSON: more text follows its end at character {end}")
    return value


def parse_form(text: str) -> dict[str, object]:
    """The fields of a form, split before they are decoded, so that `extend=a%26b` stays one field.

    A field with several different values becomes a list, which `read` refuses if the model has that field.
    """
    if text.count("&") >= MAX_FIELDS:
        raise PayloadError(f"not a form: more than {MAX_FIELDS} fields")
    fields: dict[str, object] = {}
    for pair in text.split("&"):
        name, _, value = pair.partition("=")
        if "%" in pair or "+" in pair:
            name, value = _decoded(name), _decoded(value)
        known = fields.setdefault(name, value)
        if known is value:
            continue
        if isinstance(known, _Repeated):
            known.append(value)
        elif known != value:
            fields[name] = _Repeated([str(known), value])
    return fields


def _decoded(piece: str) -> str:
    try:
        return unquote_to_bytes(piece.replace("+", " ")).decode()
    except UnicodeDecodeError:
        raise PayloadError("not UTF-8: a percent-encoded field fits no character") from None


def as_object(value: object) -> Item:
    """The value if it is an object. Raises PayloadError."""
    if isinstance(value, _Ambiguous):
        raise PayloadError(f"the key {value.key} stands twice in one object")
    if isinstance(value, dict):
        return value
    kinds: dict[type[Any], str] = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    raise PayloadError(f"{kinds.get(type(value), 'a number')} stands where an object belongs")


def as_list(value: object, name: str) -> list[object]:
    """The value if it is a list of 1 to MAX_ITEMS; a bare object counts as a list of one. Raises PayloadError."""
    items = [value] if isinstance(value, dict) else value
    if not isinstance(items, list):
        raise PayloadError(f"{name} is no list")
    if not items:
        raise PayloadError(f"{name} is empty")
    if len(items) > MAX_ITEMS:
        raise PayloadError(f"{name} holds more than {MAX_ITEMS} items")
    return items


def each(items: Iterable[object], build: Callable[[Item], T], faults: list[str]) -> Iterator[T]:
    """The results of `build` for each item; an item that can't be parsed is added to `faults`, by position from 1."""
    for position, item in enumerate(items, start=1):
        try:
            yield mending(build, as_object(item), faults, f"item {position}: ")
        except PayloadError as error:
            faults.append(f"item {position}: {error}")
