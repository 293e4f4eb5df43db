"""All checks, at once, in the order in which they are told."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from receiver.checks import certificates, database, folder, given, machines, ports, protection
from receiver.checks.finding import Check, Finding, blocking, findings_of
from receiver.settings import Settings

CHECKS: Final = (
    Check(folder.FOLDER, blocking(folder.folder), ("data_dir",)),
    Check(folder.SPOOL, blocking(folder.spool), ("data_dir",)),
    Check(folder.EMBEDDED, blocking(folder.embedded_data), ("data_dir", "database_url")),
    Check(database.DATABASE, database.database, ("data_dir", "database_url")),
    Check(machines.HOSTS, machines.hosts, ("data_dir", "database_url")),
    Check(database.READING, database.reading, ("read_database_url",)),
    Check(certificates.SUBJECT, blocking(certificates.served), ("tls_certificate", "tls_key", "tls_client_ca")),
    Check(ports.PORTS, ports.ports, ("data_dir", "host", "port", "ops_host", "ops_port")),
    Check(ports.SERVICE, ports.service, ("data_dir", "ops_host", "ops_port")),
    Check(
        protection.PROTECTION,
        blocking(protection.protection),
        ("host", "callback_tokens", "push_keys", "allowed_addresses", "tls_client_ca", "ops_host", "ops_token"),
    ),
    Check(protection.CONNECTIONS, blocking(protection.connections), ("max_connections",)),
)


async def look(known: given.Given) -> AsyncIterator[list[Finding]]:
    """The findings of each check; none is made of what rests on a wrong setting."""
    yield known.findings
    settings = known.settings
    if settings is None:
        return
    tasks = [asyncio.create_task(_found(check, settings, known.wrong)) for check in CHECKS]
    for task in tasks:
        yield await task
    if hidden := [check.subject for check in CHECKS if known.wrong.intersection(check.of)]:
        told = f"not looked at, for a wrong setting: {', '.join(hidden)}"
        yield [Finding(given.SUBJECT, "warning", told, "correct it, and run this again")]


async def _found(check: Check, settings: Settings, wrong: frozenset[str]) -> list[Finding]:
    return [] if wrong.intersection(check.of) else await findings_of(check, settings)
