"""Replay: rejected payloads are read again, as this version understands them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from uuid import UUID

import asyncpg

from receiver.inbound import Inbound
from receiver.ingest.accept import Ingest
from receiver.ingest.understand import NOT_SIGNED
from receiver.providers import INTAKES, url_path
from receiver.store import postgres
from receiver.store.job import Job, Kept, KeptIn, Receipt
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
    inbound = Inbound(
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
    outcome = await Ingest(_looked_at if dry_run else partial(_write, connection), _unobserved).accept(inbound)
    why = outcome.error or outcome.refusal
    if why is None and not dry_run:
        await mark_replayed(connection, payload)
    return Replayed(payload.rejected_id, outcome.rows, outcome.stored, why)


async def _looked_at(_job: Job) -> Kept:
    return Kept(KeptIn.NOWHERE, Receipt())


async def _write(connection: "asyncpg.Connection[asyncpg.Record]", job: Job) -> Kept:
    """The rows that are understood now, straight into PostgreSQL; the payload is kept already."""
    session, rows = postgres.Session(connection), [replace(job, error=None)]
    if not job.ids:
        return await _looked_at(job)
    try:
        receipt = await postgres.write(session, rows, _TIMEOUT_S)
    except postgres.PartitionMissing:
        await postgres.create_partitions(session, rows)
        receipt = await postgres.write(session, rows, _TIMEOUT_S)
    except postgres.POISON as error:
        # The type alone: its text may quote the body. The payloads behind it have their turn.
        receipt = Receipt(refused=dict.fromkeys(job.ids, f"the database refuses it ({type(error).__name__})"))
    return Kept(KeptIn.DATABASE, receipt)


async def _unobserved(_job: Job, _kept: Kept) -> None:
    """The command prints the outcome."""
