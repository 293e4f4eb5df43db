"""Replay: rejected payloads are read again, as this version understands them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

import asyncpg

from receiver.inbound import Inbound
from receiver.ingest.understand import NOT_SIGNED, parse_inbound
from receiver.providers import INTAKES, url_path
from receiver.store import postgres
from receiver.store.job import Job, Receipt
from receiver.store.rejected import Rejected, body_of, mark_replayed

_TIMEOUT_S: Final = 30.0

_PATHS: Final = {url_path(path): path for path in INTAKES}


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of reading a payload again: rows understood and new ones stored, or why still not."""

    rejected_id: UUID
    understood: int
    stored: int
    error: str | None


async def replay(
    connection: "asyncpg.Connection[asyncpg.Record]", payloads: Sequence[Rejected], *, dry_run: bool
) -> list[Replayed]:
    """Read each again as this version understands it, with its original time of arrival.

    What is stored already is not stored twice. A payload without any fault left is marked as replayed. One body is in
    memory at a time.
    """
    return [await _replay(connection, payload, dry_run=dry_run) for payload in payloads]


async def _replay(connection: "asyncpg.Connection[asyncpg.Record]", payload: Rejected, *, dry_run: bool) -> Replayed:
    body = await body_of(connection, payload)
    if body is None:
        return Replayed(payload.rejected_id, 0, 0, "it has been dropped meanwhile")
    path, _, query = payload.path.partition("?")
    callback = Inbound(
        path=_PATHS.get(path, path),
        query=query,
        body=body,
        content_type=payload.content_type,
        received_at=payload.received_at,
        remote_addr=payload.remote_addr,
        request_id=str(payload.rejected_id),
        correlation=payload.correlation,
        # Nobody who could not sign it then can have it believed now.
        skip_parsing_reason=payload.error if payload.error.startswith(NOT_SIGNED) else None,
    )
    _, job = await parse_inbound(callback)
    if dry_run or not job.ids:
        return Replayed(payload.rejected_id, len(job.ids), 0, job.error)
    understood = replace(job, error=None)
    try:
        receipt = await _write(connection, understood)
    except postgres.POISON as error:
        # The type alone: its text may quote the body. The payloads behind it have their turn.
        return Replayed(payload.rejected_id, len(job.ids), 0, f"the database refuses it ({type(error).__name__})")
    why = job.error or "; ".join(sorted(set(receipt.refused.values()))) or None
    if why is None:
        await mark_replayed(connection, payload)
    return Replayed(payload.rejected_id, len(job.ids), len(receipt.stored), why)


async def _write(connection: "asyncpg.Connection[asyncpg.Record]", job: Job) -> Receipt:
    session = postgres.Session(connection)
    try:
        return await postgres.write(session, [job], _TIMEOUT_S)
    except postgres.PartitionMissing:
        await postgres.create_partitions(session, [job])
        return await postgres.write(session, [job], _TIMEOUT_S)
