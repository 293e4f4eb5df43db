"""Errors of PostgreSQL and of connecting to it, as a sentence for an operator with the database and the remedy."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

from receiver.errors import OperatorError
from receiver.store.postgres import TRANSIENT

_MAX_DETAIL: Final = 200

_NO_SCHEMA: Final = (
    asyncpg.InvalidSchemaNameError,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
)

_GONE: Final = "{place} cannot be reached, or went away ({said}): see whether PostgreSQL runs there, and its log"

_ADVICE: Final[tuple[tuple[tuple[type[Exception], ...], str], ...]] = (
    ((asyncpg.exceptions.ClientConfigurationError,), "cannot be used ({said}): correct it"),
    ((socket.gaierror,), "no address is known for {host}: correct the host, or mend the machine's name service"),
    ((ConnectionRefusedError,), "{place} refused the connection: start PostgreSQL there, or correct host and port"),
    ((TimeoutError,), "{place} does not answer in time: look for a firewall between, or for a lock in PostgreSQL"),
    ((ssl.SSLError,), "TLS with {place} fails ({said}): see its certificate, and sslmode and sslrootcert in the URL"),
    (
        (asyncpg.InvalidAuthorizationSpecificationError,),
        "PostgreSQL on {place} does not let {user} in ({said}): correct user and password, or pg_hba.conf",
    ),
    (
        (asyncpg.InvalidCatalogNameError,),
        "PostgreSQL on {place} has no database {name}: correct the name, or make it (deploy/postgresql/setup.sql)",
    ),
    (
        _NO_SCHEMA,
        "the schema of database {name} is missing or behind ({said}): run `receiver migrate`",
    ),
    (
        (asyncpg.InsufficientPrivilegeError,),
        "{user} may not do this in database {name} ({said}): connect as a user who may (deploy/postgresql/README.md)",
    ),
    ((asyncpg.TooManyConnectionsError,), "PostgreSQL on {place} has no connection to spare ({said}): see its limits"),
    ((asyncpg.CannotConnectNowError,), "PostgreSQL on {place} is not ready ({said}): run this again in a moment"),
    ((asyncpg.ReadOnlySQLTransactionError,), "PostgreSQL on {place} is a standby, or read-only: name the primary"),
    ((asyncpg.PostgresConnectionError,), _GONE),
    ((asyncpg.PostgresError,), "PostgreSQL on {place} refuses this ({said}): see its own log"),
    ((FileNotFoundError,), "there is no socket in {place}, or a file that the URL names is missing: correct the path"),
    ((Exception,), _GONE),
)
"""By exception type, the first match counts."""


class DatabaseError(OperatorError):
    """PostgreSQL refused or could not be reached; the text names the setting, without its password."""


@contextmanager
def explained(url: str, setting: str) -> Iterator[None]:
    """Raise DatabaseError in place of the driver's and the network's errors."""
    try:
        yield
    except TRANSIENT as error:
        raise as_operator_error(error, url, setting) from error


def as_operator_error(error: Exception, url: str, setting: str) -> DatabaseError:
    """The error with a sentence for an operator."""
    parts = urlsplit(url)
    words = {
        "host": _host(url),
        "place": place(url),
        "user": unquote(parts.username or "") or "this user",
        "name": unquote(parts.path.removeprefix("/")) or "of the user's name",
        "said": _detail(error, parts.password),
    }
    advice = next(text for types, text in _ADVICE if isinstance(error, types))
    return DatabaseError(f"{setting}: {advice.format(**words)}")


def place(url: str) -> str:
    """Host and port, of each server that the URL names; without user and password."""
    parts = urlsplit(url)
    given = parts.netloc.rpartition("@")[2] or ",".join(parse_qs(parts.query).get("host", []))
    return given or "the local socket"


def _host(url: str) -> str:
    return place(url).rpartition(":")[0] or place(url)


def _detail(error: Exception, password: str | None) -> str:
    """The first line of the error without the password; its type if it has no text."""
    said = str(error).partition("\n")[0][:_MAX_DETAIL] or type(error).__name__
    for secret in {password, unquote(password)} if password else ():
        said = said.replace(secret, "*****")
    return said
