"""The adapters alone, as the listener and the spool call them: whatever the body, no fault of our own comes of it."""

import json
import time
from dataclasses import fields
from datetime import UTC, datetime

from fuzz.inputs import Given, Inputs
from receiver.inbound import Inbound
from receiver.ingest.accept import parse_inbound
from receiver.providers import ENDPOINTS, INTAKES
from receiver.providers.base import Verdict
from receiver.report import DeliveryReport, Reply, Submission

OWN_FAULT = "a fault of the receiver's own"


async def fault_of(given: Given) -> str | None:
    """What is wrong with what the adapters make of it."""
    callback = Inbound(
        path=given.path,
        body=given.body,
        content_type=None,
        received_at=datetime.now(UTC),
        remote_addr="203.0.113.7",
        request_id="fuzz",
    )
    parsed, job = await parse_inbound(callback)
    if OWN_FAULT in (job.error or ""):
        return str(job.error)
    rows = [*job.reports, *job.replies, *job.submissions]
    if not rows and not job.error:
        return "neither understood nor told why not"
    for row in rows:
        json.loads(row.raw)
    texts = [str(getattr(row, name)) for row in rows for name in _stored(row) if isinstance(getattr(row, name), str)]
    if any(not _storable(text) for text in (*texts, job.error or "")):
        return "a text that PostgreSQL does not take"
    if given.path in ENDPOINTS:
        for verdict in Verdict:
            answer = ENDPOINTS[given.path].answer(verdict, job.error or "", parsed.answer_context)
            if "json" in ENDPOINTS[given.path].media_type:
                json.loads(answer)
    return None


async def run(inputs: Inputs, seconds: float) -> tuple[int, list[str]]:
    """How many were tried in that time, and what was found."""
    ends, number, found = time.monotonic() + seconds, 0, []
    while time.monotonic() < ends:
        number += 1
        given = inputs.given(inputs.dice("parsers", number), list(INTAKES))
        if fault := await fault_of(given):
            found.append(f"parsers, case {number}, {given.path}: {fault}: {given.body[:300]!r}")
    return number, found


def _stored(row: DeliveryReport | Reply | Submission) -> list[str]:
    """Names of what goes into the database: all but what the identity alone is made of."""
    names = row._fields if isinstance(row, DeliveryReport) else [field.name for field in fields(row)]
    return [name for name in names if name != "happened_at_text"]


def _storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
