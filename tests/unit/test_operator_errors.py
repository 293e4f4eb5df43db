"""What an operator is told of PostgreSQL's errors: the setting, the server, what to do, and never the password."""

import socket
import ssl

import asyncpg
import pytest

from receiver.database_hosts import place
from receiver.errors import OperatorError
from receiver.store.database_error import as_operator_error, explained

PASSWORD = "p@ss/w0rd"
URL = "postgresql://keeper:p%40ss%2Fw0rd@db.example:5433/sms"

ERRORS = [
    (ConnectionRefusedError(111, "Connect call failed"), "db.example:5433 refused the connection"),
    (socket.gaierror(-2, "Name or service not known"), "no address is known for db.example:"),
    (TimeoutError(), "db.example:5433 does not answer in time"),
    (ssl.SSLCertVerificationError("certificate has expired"), "sslrootcert"),
    (asyncpg.InvalidPasswordError('authentication failed for user "keeper"'), "does not let keeper in"),
    (asyncpg.InvalidAuthorizationSpecificationError("no pg_hba.conf entry"), "pg_hba.conf"),
    (asyncpg.InvalidCatalogNameError("does not exist"), "has no database sms"),
    (asyncpg.UndefinedTableError('relation "x" does not exist'), "run `receiver migrate`"),
    (asyncpg.InsufficientPrivilegeError("permission denied"), "keeper may not do this in database sms"),
    (asyncpg.TooManyConnectionsError("too many clients"), "no connection to spare"),
    (asyncpg.CannotConnectNowError("the database system is starting up"), "in a moment"),
    (asyncpg.ReadOnlySQLTransactionError("read-only"), "name the primary"),
    (asyncpg.exceptions.ClientConfigurationError("bad sslmode"), "cannot be used (bad sslmode)"),
    (asyncpg.PostgresError("something else"), "(something else)"),
    (FileNotFoundError(2, "No such file"), "correct the path"),
    (ConnectionResetError(), "went away (ConnectionResetError)"),
    (asyncpg.InterfaceError(f"cannot read {URL}, nor {PASSWORD}"), "*****"),
]


@pytest.mark.parametrize(("error", "told"), ERRORS, ids=[type(error).__name__ for error, _ in ERRORS])
def test_each_names_the_setting_and_what_to_do(error: Exception, told: str) -> None:
    with pytest.raises(OperatorError) as caught, explained(URL, "RECEIVER_DATABASE_URL"):
        raise error
    said = str(caught.value)
    assert said.startswith("RECEIVER_DATABASE_URL: ")
    assert told in said
    assert [secret for secret in (PASSWORD, "p%40ss", "\n") if secret in said] == []


def test_what_is_no_state_of_a_database_stays_what_it_is() -> None:
    with pytest.raises(ZeroDivisionError), explained(URL, "RECEIVER_DATABASE_URL"):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://sms:secret@[2001:db8::7]:5433/sms", "[2001:db8::7]:5433"),
        ("postgresql://sms:secret@one,two:5433/sms", "one,two:5433"),
        ("postgresql://postgres@/receiver?host=/srv/receiver/run&port=5432", "/srv/receiver/run"),
        ("postgresql:///sms", "the local socket"),
    ],
)
def test_the_server_is_named_without_user_and_password(url: str, told: str) -> None:
    assert place(url) == told
    assert told in str(as_operator_error(ConnectionRefusedError(), url, "RECEIVER_DATABASE_URL"))
