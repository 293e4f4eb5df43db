"""The error codes of Tencent's API and of its SDK, with advice for each."""

from typing import Final

from receiver.pull.source import PullFailed
from receiver.settings import PREFIX

NOT_THE_API: Final = "NotTheApi"
"""Our own code for an answer that is not of the API's shape."""

_PREFIX: Final = f"{PREFIX}TENCENT_PULL_"

_ADVICE: Final = (
    ("AuthFailure.SecretIdNotFound", f"the platform knows no such key: check {_PREFIX}SECRET_ID"),
    ("AuthFailure.SignatureFailure", f"the key does not fit its id: check {_PREFIX}SECRET_KEY"),
    ("AuthFailure.SignatureExpire", "this machine's clock is off by minutes: set it"),
    ("AuthFailure", "the platform refuses the key: check that it is enabled and may use SMS"),
    ("UnauthorizedOperation.SmsSdkAppId", f"the application is not this account's: check {_PREFIX}SDK_APP_ID"),
    ("UnauthorizedOperation", "not permitted: the platform's support enables pulling, and the key must allow it"),
    ("RequestLimitExceeded", "too many calls, perhaps by others with the same account; it is tried more slowly"),
    ("LimitExceeded", "too many calls, perhaps by others with the same account; it is tried more slowly"),
    ("InvalidParameter", "the platform refuses the request: check the application's id and the region"),
    ("MissingParameter", "the platform refuses the request: check the application's id and the region"),
    ("UnsupportedRegion", f"check {_PREFIX}REGION"),
    ("ClientNetworkError", f"no whole answer: check the network and {_PREFIX}ENDPOINT"),
    ("ServerNetworkError", "the platform, or something before it, answered with an HTTP error; it is tried again"),
    (NOT_THE_API, f"what answers is not this API: check {_PREFIX}ENDPOINT and any proxy"),
)
"""Prefix of a code → advice; the first match counts."""

_DOUBTFUL: Final = ("InternalError", "ServerNetworkError")
"""Codes of failures inside the platform: the queue may have been read."""

_LASTING: Final = (
    "AuthFailure",
    "UnauthorizedOperation",
    "InvalidParameter",
    "MissingParameter",
    "UnknownParameter",
    "UnsupportedOperation",
    "UnsupportedRegion",
    "InvalidAction",
)
"""Codes of permanent refusals: the same request would be refused again."""

_MAX_DETAIL: Final = 200


def failure(code: str, detail: str, *, doubt: bool = False) -> PullFailed:
    """The error with its advice. `doubt`: the request may have been executed all the same."""
    advice = next((text for prefix, text in _ADVICE if code.startswith(prefix)), "it is tried again")
    doubt = doubt or code.startswith(_DOUBTFUL)
    return PullFailed(code, advice, detail=detail[:_MAX_DETAIL], doubt=doubt, permanent=code.startswith(_LASTING))
