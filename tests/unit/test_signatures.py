"""Every platform's check of signatures, on requests that it has not signed itself (tests/fixtures/signatures)."""

import base64
import json
from datetime import datetime
from pathlib import Path

import pytest
from support.cases import FOLDER

from receiver.providers import VERIFIERS
from receiver.providers.base import SignatureError, SignedHead

VECTORS = sorted((FOLDER / "signatures").glob("*/*.json"))


@pytest.mark.parametrize("file", VECTORS, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_verdict_is_what_the_vector_says(file: Path) -> None:
    vector = json.loads(file.read_text(encoding="utf-8"))
    head = SignedHead(
        method=vector["method"],
        raw_path=vector["path"],
        raw_query=vector["query"],
        headers=[(name, value) for name, value in vector["headers"]],
        public_url=vector.get("public_url", ""),
    )
    body = base64.b64decode(vector["body_base64"]) if "body_base64" in vector else vector["body"].encode()
    try:
        VERIFIERS[file.parent.name](head, vector["keys"], datetime.fromisoformat(vector["now"]))(body)
        said = None
    except SignatureError as error:
        said = str(error)
    assert (said is None) == (vector["error"] is None), said
    assert (vector["error"] or "") in (said or "")


def test_every_platform_that_can_sign_has_genuine_requests_and_forged_ones() -> None:
    kinds = {(file.parent.name, json.loads(file.read_text(encoding="utf-8"))["error"] is None) for file in VECTORS}
    assert kinds == {(name, genuine) for name in VERIFIERS for genuine in (True, False)}
