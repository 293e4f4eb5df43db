"""Tencent Cloud SMS, API version 2021-01-11.

`PullSmsSendStatus` and `PullSmsReplyStatus` are queues: at most 100 items a call and 100 calls a second, each item
returned once; the platform's support has to enable them. The same names with `ByPhoneNumber` query one number's last
seven days, any number of times, at most 20 times a second.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Final, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from receiver.extras import require
from receiver.providers import tencent_pulled as wire
from receiver.providers.tencent import NAME
from receiver.pull.settings import PullSettings, variable
from receiver.pull.source import Lookup, Opened, Platform, PulledAnswer, Source
from receiver.pull.sources.tencent_errors import NOT_THE_API, failure
from receiver.settings import PREFIX, read

MAX_ITEMS: Final = 100
_LOOKUPS_PER_S: Final = 10.0

_NEEDED: Final = ("requests", "tencentcloud", "urllib3")
"""The modules of `tencent_sdk.py`, which the extra brings."""

Ask = Callable[[Mapping[str, object]], PulledAnswer]


class TencentPull(PullSettings):
    """Settings of this platform; the first three belong together, and without them nothing is pulled."""

    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}TENCENT_PULL_")

    secret_id: str | None = Field(None, description="Id of the API key. Unset: nothing is pulled.")
    secret_key: SecretStr | None = Field(None, description="The API key itself.")
    sdk_app_id: str | None = Field(None, description="The application (`SmsSdkAppId`) whose reports are pulled.")
    region: str = Field("ap-guangzhou", description="Region of the API.")
    endpoint: str = Field(
        "sms.tencentcloudapi.com",
        description="Host of the API; `sms.intl.tencentcloudapi.com` for international accounts. `http://` for tests.",
    )
    limit: Annotated[int, Field(ge=1, le=MAX_ITEMS)] = Field(MAX_ITEMS, description="Most items of one call.")

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        given = {"secret_id": self.secret_id, "secret_key": self.secret_key, "sdk_app_id": self.sdk_app_id}
        missing = [variable(type(self), name) for name, value in given.items() if value is None]
        if 0 < len(missing) < len(given):
            raise ValueError(f"{' and '.join(missing)}: must be set too, or none of the three")
        return self


def _open() -> Opened | None:
    settings = read(TencentPull)
    if settings.secret_id is None or settings.secret_key is None:
        return None
    require(
        NAME,
        _NEEDED,
        why=f"{variable(TencentPull, 'secret_id')} is set, and the client of the platform's API",
        instead="unset it to pull nothing",
    )
    return Opened(
        sources=(
            _source(settings, wire.REPORTS, "PullSmsSendStatus", wire.REPORT_LIST),
            _source(settings, wire.REPLIES, "PullSmsReplyStatus", wire.REPLY_LIST),
        ),
        lookups=(
            _lookup(settings, wire.REPORTS, "PullSmsSendStatusByPhoneNumber", wire.REPORT_LIST),
            _lookup(settings, wire.REPLIES, "PullSmsReplyStatusByPhoneNumber", wire.REPLY_LIST),
        ),
        secrets=(settings.secret_key.get_secret_value(),),
    )


def _source(settings: TencentPull, path: str, action: str, list_name: str) -> Source:
    ask = _asker(settings, action, list_name)
    return Source(
        path=path,
        limit=settings.limit,
        gap_s=1 / settings.max_calls_per_s,
        interval_s=settings.interval_s,
        timeout_s=2 * settings.timeout_s,
        fetch=lambda: ask({"Limit": settings.limit}),
    )


def _lookup(settings: TencentPull, path: str, action: str, list_name: str) -> Lookup:
    ask = _asker(settings, action, list_name)

    def fetch(number: str, since: datetime, until: datetime) -> PulledAnswer:
        span = {"BeginTime": int(since.timestamp()), "EndTime": int(until.timestamp())}
        return ask(span | {"PhoneNumber": number, "Offset": 0, "Limit": MAX_ITEMS})

    return Lookup(
        path=path,
        limit=MAX_ITEMS,
        gap_s=1 / min(settings.max_calls_per_s, _LOOKUPS_PER_S),
        timeout_s=2 * settings.timeout_s,
        fetch=fetch,
    )


def _asker(settings: TencentPull, action: str, list_name: str) -> Ask:
    """A function that calls the API over a connection of its own. It raises PullFailed."""
    # Imported here, as most services do not pull and need not wait for the SDK.
    from receiver.pull.sources import tencent_sdk  # noqa: PLC0415

    client = tencent_sdk.client(
        secret_id=settings.secret_id or "",
        secret_key=settings.secret_key.get_secret_value() if settings.secret_key else "",
        region=settings.region,
        endpoint=settings.endpoint,
        timeout_s=settings.timeout_s,
    )

    def ask(params: Mapping[str, object]) -> PulledAnswer:
        body = tencent_sdk.call(client, action, {"SmsSdkAppId": settings.sdk_app_id, **params})
        return parse_answer(body, list_name)

    return ask


def parse_answer(body: bytes, list_name: str) -> PulledAnswer:
    """The answer with its number of items. Raises PullFailed for an error, and for an answer of another server.

    An unreadable answer that contains the list's name counts as one item: it is kept for inspection.
    """
    try:
        response = json.loads(body)["Response"]
        error, items = response.get("Error"), response.get(list_name)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as broken:
        if list_name.encode() in body:
            return PulledAnswer(body, 1)
        raise failure(NOT_THE_API, type(broken).__name__) from broken
    if error:
        details = error if isinstance(error, dict) else {}
        raise failure(str(details.get("Code")), str(details.get("Message")))
    if not items:
        return PulledAnswer(body, 0)
    return PulledAnswer(body, len(items) if isinstance(items, list) else 1)


PLATFORM: Final = Platform(name=NAME, settings=TencentPull, switch="secret_id", open=_open)
