"""Replay: parses rejected payloads again, with this version's adapters."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

import asyncpg

from receiver.inbound import Inbound
from receiver.ingest.accept import NOT_SIGNED, Ingest
from receiver.providers import INTAKES, url_path
from receiver.store import postgres
from receiver.store.job import Job, Kept, KeptIn, Receipt
from receiver.store.rejected import Rejected, body_of, mark_replayed
from receiver.store.told import UNTOLD, Told

_TIMEOUT_S: Final = 30.0

_PATHS: Final = {url_path(path): path for path in INTAKES}


@dataclass(frozen=True, slots=True)
class Replayed:
    """Result of one payload: numbers of parsed and of newly stored rows, and the remaining error."""

    rejected_id: UUID
    understood: int
    stored: int
    error: str | None


async def replay(
    connection: "asyncpg.Connection[asyncpg.Record]",
    payloads: Sequence[Rejected],
    *,
    dry_run: bool,
    told: Told = UNTOLD,
) -> list[Replayed]:
    """Parse each payload again, with its original time of arrival, and store its rows unless `dry_run`.

    Known rows are not stored twice. A payload without any error left is marked as replayed. One body is in memory at a
    time.
    """
    done = []
    told.stage("payloads", len(payloads))
    for payload in payloads:
        done.append(await _replay(connection, payload, dry_run=dry_run))
        told.advance()
    return done


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
        # A push with a wrong signature stays unverified: it is never parsed.
        skip_parsing_reason=payload.error if payload.error.startswith(NOT_SIGNED) else None,
    )
    outcome = await Ingest(_keep_nothing if dry_run else partial(_write, connection), _unobserved).accept(inbound)
    why = outcome.error or outcome.refusal
    if why is None and not dry_run:
        await mark_replayed(connection, payload)
    return Replayed(payload.rejected_id, outcome.rows, outcome.stored, why)


async def _keep_nothing(_job: Job) -> Kept:
    return Kept(KeptIn.NOWHERE, Receipt())


async def _write(connection: "asyncpg.Connection[asyncpg.Record]", job: Job) -> Kept:
    """Write the parsed rows directly into PostgreSQL; the payload itself is kept already."""
    session, rows = postgres.Session(connection), [job.without_rejected()]
    if not job.ids:
        return await _keep_nothing(job)
    try:
        receipt = await postgres.write(session, rows, _TIMEOUT_S)
    except postgres.POISON as error:
        # The type alone, as the text may quote the body. The next payloads are still replayed.
        receipt = Receipt(refused=dict.fromkeys(job.ids, f"the database refuses it ({type(error).__name__})"))
    return Kept(KeptIn.DATABASE, receipt)


async def _unobserved(_job: Job, _kept: Kept) -> None:
    """The command prints the outcome."""
