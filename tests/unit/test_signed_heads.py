"""What a signed push's head tells is told before its body is read (tests/fixtures/signatures/README.md)."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from receiver.providers.base import CheckBody, SignatureError, SignedHead
from receiver.providers.huawei_signature import verify

FOLDER = Path(__file__).parent.parent / "fixtures" / "signatures" / "huawei"
VECTORS = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.json"))}
OF_THE_BODY = ("does not fit", "changed on the way", "x-sdk-content-sha256")
"""Parts of the reasons that take the body to find."""

REFUSED = {name: vector for name, vector in VECTORS.items() if vector["error"]}
BY_THE_HEAD = {name: vector for name, vector in REFUSED.items() if not vector["error"].startswith(OF_THE_BODY)}
BY_THE_BODY = {name: vector for name, vector in REFUSED.items() if name not in BY_THE_HEAD}


def judge(vector: dict[str, Any]) -> CheckBody:
    head = SignedHead(
        method=vector["method"], raw_path=vector["path"], raw_query=vector["query"], headers=vector["headers"]
    )
    return verify(head, vector["keys"], datetime.fromisoformat(vector["now"]))


@pytest.mark.parametrize("name", BY_THE_HEAD)
def test_a_head_that_nobody_can_have_signed_is_refused_without_its_body(name: str) -> None:
    with pytest.raises(SignatureError) as caught:
        judge(BY_THE_HEAD[name])
    assert BY_THE_HEAD[name]["error"] in str(caught.value)


@pytest.mark.parametrize("name", BY_THE_BODY)
def test_what_the_body_decides_is_said_once_it_is_there(name: str) -> None:
    check = judge(BY_THE_BODY[name])
    with pytest.raises(SignatureError):
        check(BY_THE_BODY[name].get("body", "").encode())


def test_there_are_vectors_of_both_kinds() -> None:
    assert {"access-unknown", "authorization-missing", "date-too-old", "scheme-basic"} <= BY_THE_HEAD.keys()
    assert {"body-changed", "secret-is-another", "body-not-covered"} <= BY_THE_BODY.keys()
