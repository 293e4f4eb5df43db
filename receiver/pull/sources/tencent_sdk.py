"""Calls through the official SDK, and its errors translated. Import it late: it takes a tenth of a second.

The SDK signs and transports. Its models are not used: they drop unknown fields, and we keep the answer verbatim.
"""

import json
import logging
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from tencentcloud.common.credential import Credential  # type: ignore[import-untyped]
from tencentcloud.common.exception import tencent_cloud_sdk_exception as sdk  # type: ignore[import-untyped]
from tencentcloud.common.profile.client_profile import ClientProfile  # type: ignore[import-untyped]
from tencentcloud.common.profile.http_profile import HttpProfile  # type: ignore[import-untyped]
from tencentcloud.sms.v20210111.sms_client import SmsClient  # type: ignore[import-untyped]
from urllib3.exceptions import MaxRetryError

from receiver.pull.sources.tencent_errors import NOT_THE_API, failure

_NETWORK: Final = "ClientNetworkError"

# At DEBUG the SDK logs whole answers, numbers and texts in them.
logging.getLogger("tencentcloud_sdk_common").setLevel(logging.WARNING)


def client(*, secret_id: str, secret_key: str, region: str, endpoint: str, timeout_s: float) -> Any:  # noqa: ANN401
    """A client with a connection of its own, for one thread at a time."""
    address = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
    http = HttpProfile(protocol=address.scheme, endpoint=address.netloc, reqTimeout=timeout_s)
    # No retries and no second region by the SDK: the loop repeats calls, and has to know of each.
    profile = ClientProfile(httpProfile=http, language="en-US", disable_region_breaker=True, retryer=None)
    return SmsClient(Credential(secret_id, secret_key), region, profile)


def call(client: Any, action: str, params: dict[str, object]) -> bytes:  # noqa: ANN401 - the SDK has no types
    """The answer's bytes, also if the SDK cannot parse them. Raises PullFailed."""
    try:
        body: bytes = client.call(action, params)
    except sdk.TencentCloudSDKException as error:
        raise failure(str(error.code), str(error.message), doubt=_was_sent(error.__context__)) from error
    except requests.RequestException as error:
        raise failure(_NETWORK, str(error), doubt=True) from error
    except json.JSONDecodeError as error:
        return error.doc.encode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        return error.object
    except (KeyError, TypeError) as error:
        raise failure(NOT_THE_API, type(error).__name__) from error
    return body


def _was_sent(cause: BaseException | None) -> bool:
    """Whether the request may have reached the platform, although no answer came.

    An error that `requests` wraps as MaxRetryError came before there was a connection.
    """
    if isinstance(cause, requests.ConnectTimeout):
        return False
    if isinstance(cause, requests.ConnectionError):
        return not any(isinstance(argument, MaxRetryError) for argument in cause.args)
    return isinstance(cause, requests.RequestException)
