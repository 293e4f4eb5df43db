"""The types of the settings: parsing from an environment variable, and validation."""

import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, SecretStr
from pydantic_settings import NoDecode

from receiver.addresses import Network, parse_network
from receiver.database_hosts import each, host_names, wanted

MIN_TOKEN: Final = 16

_URL_SCHEMES: Final = ("postgresql://", "postgres://")
_HOST: Final = re.compile(r"(\[[^\s\[\]]*\]|[^\s:\[\]]*)(:\d{1,5})?")
_NAME: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?")
_PUBLIC_URL: Final = re.compile(
    r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?(/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?"
)
_PATH_SAFE: Final = re.compile(r"[A-Za-z0-9._~-]+")
_BEARER: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1


def split_tokens(value: object) -> object:
    """`a,b` as ("a", "b")."""
    if not isinstance(value, str):
        return value
    tokens = tuple(token for part in value.split(",") if (token := part.strip()))
    if not tokens:
        raise ValueError("holds no token; leave the variable out to have none")
    return tokens


def _split_networks(value: object) -> object:
    if not isinstance(value, str):
        return value
    networks = tuple(_network(part) for piece in value.split(",") if (part := piece.strip()))
    if not networks:
        raise ValueError("holds no network; leave the variable out to have none")
    return networks


def _network(text: str) -> Network:
    try:
        network = parse_network(text)
    except ValueError as error:
        raise ValueError(f"{text} is no address or network: {error}") from error
    if network.prefixlen == 0:
        raise ValueError(f"{text} is everybody: anyone could claim any address")
    return network


def _split_names(value: object) -> object:
    if not isinstance(value, str):
        return value
    names = tuple(name for part in value.split(",") if (name := part.strip()))
    if wrong := next((name for name in names if not _NAME.fullmatch(name)), None):
        raise ValueError(f"{wrong} is no host name; write it without scheme and port")
    return names


def _split_paths(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(path for part in value.split(",") if (path := part.strip()))


def _check_tokens(tokens: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for number, token in enumerate(tokens, start=1):
        secret = token.get_secret_value()
        if len(secret) < MIN_TOKEN:
            raise ValueError(f"token {number} of {len(tokens)} is shorter than {MIN_TOKEN} characters")
        if not _PATH_SAFE.fullmatch(secret) or not secret.strip("."):
            raise ValueError(
                f"token {number} of {len(tokens)} cannot stand in a URL path: use letters, digits and . _ ~ - only"
            )
    return tokens


def _check_bearer(token: SecretStr | None) -> SecretStr | None:
    if token is None:
        return token
    secret = token.get_secret_value()
    if len(secret) < MIN_TOKEN:
        raise ValueError(f"is shorter than {MIN_TOKEN} characters")
    if not _BEARER.fullmatch(secret):
        raise ValueError("cannot stand in a header: use letters, digits and . _ ~ + / - only, then = if need be")
    return token


def _check_url(url: SecretStr | None) -> SecretStr | None:
    if url is not None and not url.get_secret_value().startswith(_URL_SCHEMES):
        raise ValueError(f"must begin with {' or '.join(_URL_SCHEMES)}")
    if url is not None and not _has_hosts(url.get_secret_value()):
        raise ValueError("has no readable host and port; percent-encode what is special in the user and the password")
    if url is not None:
        wanted(url.get_secret_value())
    return url


def _check_public_url(url: str | None) -> str | None:
    """Without the slash at its end: a request's path begins with one."""
    if url is not None and not _PUBLIC_URL.fullmatch(url):
        raise ValueError("is no URL of scheme, host and perhaps a prefix of the path, such as https://sms.example.com")
    return url and url.rstrip("/")


def _has_hosts(url: str) -> bool:
    """Whether the URL's authority is one or several hosts, comma-separated, each with a port or without; with a socket,
    `port` is in its query.
    """
    try:
        parts = [urlsplit(one) for one in each(url)]
    except ValueError:
        return False
    if any(one.netloc.count("@") > 1 for one in parts):  # the driver takes what follows the first one for the host
        return False
    hosts = [one.netloc.rpartition("@")[2] for one in parts]
    ports = [port for one in parts for given in parse_qs(one.query).get("port", []) for port in given.split(",")]
    if not all(not port or (port.isascii() and port.isdecimal()) for port in ports):
        return False
    return all(map(_HOST.fullmatch, hosts)) and all(map(_may_be_looked_up, host_names(url)))


def _may_be_looked_up(host: str) -> bool:
    """Whether each part of a name has a length that the name service takes; Python raises UnicodeError otherwise."""
    try:
        host.encode("idna")
    except UnicodeError:
        return host.startswith("/")  # a socket's folder
    return True


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


Port = Annotated[int, Field(ge=0, le=65_535)]
Seconds = Annotated[float, Field(gt=0, le=3_600, allow_inf_nan=False)]
Pause = Annotated[float, Field(ge=0, le=3_600, allow_inf_nan=False)]
DaysAhead = Annotated[int, Field(ge=1, le=365)]
WorkerCount = Annotated[int, Field(ge=1, le=16)]
Count = Annotated[int, Field(ge=1)]
Bytes = Annotated[ByteSize, Field(gt=0)]
RejectedBytes = Annotated[ByteSize, Field(ge=4 * 1024 * 1024)]
Host = Annotated[str, Field(min_length=1)]
HostNames = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_names)]
DataDir = Annotated[Path, AfterValidator(_absolute)]
DatabaseUrl = Annotated[SecretStr | None, AfterValidator(_check_url)]
PublicUrl = Annotated[str | None, AfterValidator(_check_public_url)]
Tokens = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(split_tokens), AfterValidator(_check_tokens)]
Bearer = Annotated[SecretStr | None, AfterValidator(_check_bearer)]
File = Annotated[Path, AfterValidator(_absolute)]
Files = Annotated[tuple[File, ...], NoDecode, BeforeValidator(_split_paths)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_split_networks)]
LogFormat = Annotated[Literal["json", "console"] | None, BeforeValidator(_lower)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)]
