"""Settings keyed by platform: one parser, and a check that every key is a platform's name.

A mistyped name would leave a platform unprotected, so it stops the start.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Final, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from receiver.addresses import Networks
from receiver.providers import ORIGINS, PROVIDERS, VERIFIERS
from receiver.setting_types import File, split_tokens

V = TypeVar("V")

_PLATFORMS: Final = frozenset(provider.name for provider in PROVIDERS)


def _pairs(kind: str) -> Callable[[object], object]:
    """Parser of `a=x,a=y,b=z` into {"a": ("x", "y"), "b": ("z",)}; `kind` names the values in error texts."""

    def parse(value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        if not all(name.strip() and one.strip() for name, _, one in pairs):
            raise ValueError(f"is not a list of platform={kind}")
        found: dict[str, tuple[str, ...]] = {}
        for name, _, one in pairs:
            found[name.strip()] = (*found.get(name.strip(), ()), one.strip())
        return found

    return parse


def _single(kind: str, advice: str) -> Callable[[object], object]:
    """As `_pairs`, with one value per platform: {"a": "x", "b": "z"}."""
    parse = _pairs(kind)

    def parse_single(value: object) -> object:
        found = parse(value)
        if not isinstance(value, str) or not isinstance(found, dict):
            return found
        if any(len(values) > 1 for values in found.values()):
            raise ValueError(f"names a platform twice; {advice}")
        return {name: values[0] for name, values in found.items()}

    return parse_single


def _known(values: dict[str, V]) -> dict[str, V]:
    if strange := values.keys() - _PLATFORMS:
        raise ValueError(f"no platform is called {_list(strange)}; there are {_list(_PLATFORMS)}")
    return values


def _check_networks(values: Mapping[str, Iterable[str]]) -> Mapping[str, Iterable[str]]:
    for platform, entries in values.items():
        for entry in entries:
            try:
                Networks.of([entry] if entry not in ORIGINS else [])
            except ValueError as error:
                presets = f"no network and no preset (there are {_list(ORIGINS)})"
                raise ValueError(f"{platform}={entry} is {presets}: {error}") from error
    return values


def _check_push_keys(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for number, key in enumerate(keys, start=1):
        parts = key.get_secret_value().split(":", 2)
        if len(parts) != len(("platform", "access", "secret")) or not all(part.strip() for part in parts):
            raise ValueError(f"key pair {number} of {len(keys)} is not platform:access:secret")
        # The text in the name's place is not quoted: it may be the secret.
        if parts[0] not in VERIFIERS:
            raise ValueError(
                f"key pair {number} of {len(keys)} is of no platform whose signatures can be checked; "
                f"there are {_list(VERIFIERS)}"
            )
    return keys


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


_HOURS: Final = _single("hours", "say one number of hours for each")
_FILE: Final = _single("path", "put all its authorities into one file")

PushKeys = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(split_tokens), AfterValidator(_check_push_keys)]
Hours = Annotated[int, Field(ge=1, le=8_760)]
Windows = Annotated[dict[str, Hours], NoDecode, BeforeValidator(_HOURS), AfterValidator(_known)]
NamedFiles = Annotated[dict[str, File], NoDecode, BeforeValidator(_FILE), AfterValidator(_known)]
AllowedAddresses = Annotated[
    dict[str, tuple[str, ...]],
    NoDecode,
    BeforeValidator(_pairs("network")),
    AfterValidator(_known),
    AfterValidator(_check_networks),
]
