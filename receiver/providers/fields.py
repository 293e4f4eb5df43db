"""Conversions that several platforms share: phone numbers, times, and codes."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final
from uuid import UUID

import phonenumbers

from receiver.catalogue import lookup
from receiver.providers.payload import PayloadError, as_json_text
from receiver.report import ProviderName, Reason, Status, content_id

BEIJING: Final = timezone(timedelta(hours=8))
"""The time zone of the Chinese platforms: UTC+8, without daylight saving time."""


_MAX_CALLING_CODE: Final = 3
"""Digits (ITU-T E.164, section 6.2.1)."""

_MAX_E164: Final = len("+") + 15
"""Characters (ITU-T E.164, section 6)."""

_SECONDS: Final = 4096
"""Reports come within seconds or minutes of each other's times, which have whole seconds."""

_CODES: Final = 1024
"""A platform uses some dozens; those of a stranger, of at most MAX_TEXT characters, push each other out."""

_MAX_NUMBER: Final = 32
"""Characters: no possible number has more, prefixes included."""


def country_of_calling_code(code: str) -> str | None:
    """The country of a calling code such as `852`; None for one that several countries share."""
    if len(code) > _MAX_CALLING_CODE or not code.isdecimal():
        return None
    return _country_of_calling_code(code)


@lru_cache(maxsize=512)
def _country_of_calling_code(code: str) -> str | None:
    regions = phonenumbers.region_codes_for_country_code(int(code))
    return regions[0] if len(regions) == 1 and len(regions[0]) == len("CN") else None


def e164(number: str, region: str | None = None) -> tuple[str | None, str | None]:
    """The number as E.164 with `+`, and its country (ISO 3166 alpha-2); each None if it cannot be derived.

    The number need only be possible: reports are often about numbers that are not in service. `region` is the country
    of a number without a country code.
    """
    # Masked, or not a number at all; such texts must not fill the cache.
    if len(number) > _MAX_NUMBER or not number.removeprefix("+").isdecimal():
        return None, None
    return _e164(number, region)


@lru_cache(maxsize=8192)
def _e164(number: str, region: str | None) -> tuple[str | None, str | None]:
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None, None
    if not phonenumbers.is_possible_number(parsed):
        return None, None
    written = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    if len(written) > _MAX_E164:  # the library accepts longer ones for Japan
        return None, None
    country = phonenumbers.region_code_for_number(parsed)
    return written, country if country and len(country) == len("CN") else None


_ZERO: Final = datetime.min.replace(tzinfo=UTC)
"""The zero of Go's and .NET's times, which says that there is none. asyncpg would send it as -infinity."""


@lru_cache(maxsize=_SECONDS)
def iso_utc(text: str | None) -> datetime | None:
    """`2018-04-13T06:31:46Z` as an aware datetime; None for anything else."""
    if text is None or len(text) != len("2018-04-13T06:31:46Z") or text[10] != "T" or text[19] != "Z":
        return None
    return _datetime(text)


@lru_cache(maxsize=_SECONDS)
def beijing_wall_clock(text: str | None) -> datetime | None:
    """`2018-04-13 14:31:46`, local time in UTC+8, as a datetime in UTC; None for anything else."""
    if text is None or len(text) != len("2018-04-13 14:31:46") or text[10] != " ":
        return None
    return _datetime(f"{text}+08:00")


def _datetime(text: str) -> datetime | None:
    if text[4] != "-" or text[7] != "-" or text[13] != ":" or text[16] != ":":
        return None
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return None if moment == _ZERO else moment


@lru_cache(maxsize=_CODES)
def meaning(provider: ProviderName, code: str) -> tuple[Status, Reason | None]:
    """Status and reason of a provider's code in the catalogue; `unknown` for a code that is not in it."""
    row = lookup(provider, code)
    return (row.status, row.reason) if row else (Status.UNKNOWN, None)


def context(fields: Mapping[str, object]) -> str | None:
    """The sender's own correlation data as JSON text, under the provider's names; None if there is none."""
    given = {name: value for name, value in fields.items() if value not in (None, "", {}, [])}
    return as_json_text(given) if given else None


def refusal(provider: ProviderName, code: str) -> tuple[Status, Reason]:
    """Status and reason of a message that the platform refused with this code: always `rejected`."""
    row = lookup(provider, code)
    return Status.REJECTED, (row.reason if row else None) or Reason.UNKNOWN


def submitted_id(provider: ProviderName, message_id: str | None, *, accepted: bool, request: str, raw: str) -> str:
    """The platform's message id, or a derived one for a message that was refused without an id.

    `request` identifies the answer: the same number may be refused again, in the same words. Raises PayloadError.
    """
    if message_id is None and accepted:
        raise PayloadError("the platform took the message but the answer has no id for it")
    return message_id or f"refused-{UUID(content_id(provider, request, raw))}"


def alpha2(country: str | None) -> str | None:
    """The country in upper case if it has the form of ISO 3166 alpha-2; None for anything else."""
    fits = country is not None and len(country) == len("CN") and country.isascii() and country.isalpha()
    return country.upper() if country and fits else None
