"""Errors of PostgreSQL and of connecting to it, as a sentence for an operator with the database and the remedy."""

import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg

from receiver import database_hosts
from receiver.database_hosts import place
from receiver.errors import OperatorError
from receiver.store.postgres import TRANSIENT
from receiver.store.racing import NoHost, Unsuitable

_MAX_DETAIL: Final = 200

_NO_SCHEMA: Final = (
    asyncpg.InvalidSchemaNameError,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
)

_GONE: Final = "{place} cannot be reached, or went away ({said}): see whether PostgreSQL runs there, and its log"

_ADVICE: Final[tuple[tuple[tuple[type[Exception], ...], str], ...]] = (
    ((Unsuitable,), "{place} cannot be used ({said})"),
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
    """The error with a sentence for an operator; of several hosts with one for each."""
    if not isinstance(error, NoHost):
        return DatabaseError(f"{setting}: {_sentence(error, url)}")
    each = "; ".join(_sentence(one, host) for host, one in error.errors)
    return DatabaseError(f"{setting}: none of its {len(error.errors)} hosts takes this: {each}")


def _sentence(error: Exception, url: str) -> str:
    words = {
        "host": ",".join(database_hosts.host_names(url)),
        "place": place(url),
        "user": database_hosts.user(url) or "this user",
        "name": database_hosts.database(url) or "of the user's name",
        "said": _detail(error, database_hosts.passwords(url)),
    }
    advice = next(text for types, text in _ADVICE if isinstance(error, types))
    return advice.format(**words)


def _detail(error: Exception, passwords: Iterable[str]) -> str:
    """The first line of the error without the password; its type if it has no text."""
    said = str(error).partition("\n")[0][:_MAX_DETAIL] or type(error).__name__
    for secret in sorted(passwords, key=len, reverse=True):
        said = said.replace(secret, "*****")
    return said
