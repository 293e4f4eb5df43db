"""Settings: environment variables `RECEIVER_*` and a `.env` in the working folder (design, section 7)."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Self

from platformdirs import user_data_path
from pydantic import ByteSize, Field, model_validator
from pydantic_settings import DotEnvSettingsSource, SettingsConfigDict

from receiver.database_hosts import passwords
from receiver.setting_platforms import AllowedAddresses, NamedFiles, PushKeys, Windows
from receiver.setting_source import PREFIX, FromEnvironment, SettingsError, read
from receiver.setting_types import (
    MIN_TOKEN,
    Bearer,
    Bytes,
    Count,
    DatabaseUrl,
    DataDir,
    DaysAhead,
    Files,
    Host,
    HostNames,
    LogFormat,
    LogLevel,
    Networks,
    Pause,
    Port,
    PublicUrl,
    RejectedBytes,
    Seconds,
    Tokens,
    WorkerCount,
)

__all__ = ["PREFIX", "FromEnvironment", "Settings", "SettingsError", "default_data_dir", "load", "read", "variable"]

MIB: Final = 1024 * 1024

_MIN_MASKED: Final = 8
"""A shorter password may be an ordinary word of the log; in a URL it is masked all the same (`masking`)."""


def default_data_dir() -> Path:
    """The user's data folder; not root's, which the account of the embedded PostgreSQL cannot reach."""
    return Path("/var/lib/receiver") if os.geteuid() == 0 else user_data_path("receiver", appauthor=False)


class Settings(FromEnvironment):
    """Every setting; read by `load`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    database_url: DatabaseUrl = Field(
        None,
        description="PostgreSQL to write to, `postgresql://user:password@host/name`; of several hosts, "
        "`@a:5432,b:5432/`, the one that takes writes. Unset: the embedded one.",
    )
    read_database_url: DatabaseUrl = Field(
        None,
        description="PostgreSQL to read from for the pages and for the commands that only read: a replica, or the same "
        "database with a login that may do less. Unset: the one that is written to.",
    )
    data_dir: DataDir = Field(
        default_factory=default_data_dir,
        description="Folder of the embedded PostgreSQL and of the spool.",
        json_schema_extra={"default": "the user's data folder; for root `/var/lib/receiver`"},
    )
    host: Host = Field("0.0.0.0", description="Address of the callback listener.")  # noqa: S104 - it is public
    port: Port = Field(8080, description="Port of the callback listener; 0 takes a free one.")
    ops_host: Host = Field("127.0.0.1", description="Address of the ops listener (health, metrics).")
    ops_port: Port = Field(8081, description="Port of the ops listener; never the callback listener's.")
    ops_token: Bearer = Field(
        None,
        description="Token that the ops listener asks programs for (bearer) and people (log-in). Unset: none.",
    )
    ops_allowed_hosts: HostNames = Field(
        (),
        description="Names by which people call the ops listener, and without a token programs too, comma-separated, "
        "beside its address and `localhost`; under others it answers 403, but for `/healthz` and `/readyz`.",
    )
    tls_certificate: Files = Field(
        (),
        description="Certificate chain of the callback listener, PEM; or two, comma-separated, one RSA and one ECDSA. "
        "Unset: plain HTTP.",
    )
    tls_key: Files = Field((), description="Private key of each certificate, PEM without a passphrase, in their order.")
    tls_client_ca: NamedFiles = Field(
        default_factory=dict,
        description="Authorities, PEM, one of which must have issued a platform's client certificate, "
        "`platform=path,…`. Unset: client certificates are not asked for.",
        json_schema_extra={"default": "unset"},
    )
    callback_tokens: Tokens = Field(
        (),
        description=f"Secrets, comma-separated, one of which must end every callback URL; {MIN_TOKEN} characters or "
        "more of letters, digits and `. _ ~ -`. Unset: URLs without a token.",
    )
    push_keys: PushKeys = Field(
        (),
        description="Key pairs with which a platform signs its pushes, comma-separated, `platform:access:secret`. "
        "A platform that has one here must sign. Unset: signatures are not asked for.",
    )
    public_url: PublicUrl = Field(
        None,
        description="URL by which platforms reach this service's `/`, `https://sms.example.com/prefix`, where a proxy "
        "ends TLS, changes `Host` or strips a prefix: signatures are checked with it. Unset: the request's own.",
    )
    keep_unsigned: bool = Field(default=False, description="Keep pushes with a wrong signature as rejected payloads.")
    trusted_proxies: Networks = Field(
        (),
        description="Networks of the proxies in front, comma-separated, `10.0.0.0/8,2001:db8::/32`: from them alone "
        "the client's address is taken from `X-Forwarded-For` or `Forwarded`.",
    )
    allowed_addresses: AllowedAddresses = Field(
        default_factory=dict,
        description="Who may call a platform's URLs, comma-separated, `platform=network` or `platform=preset`; others "
        "are answered 403. A platform that is not named may be called from anywhere.",
        json_schema_extra={"default": "unset"},
    )
    workers: WorkerCount = Field(
        1, description="Processes that take callbacks, at most 16; from two on, one more looks after them."
    )
    reuse_port: bool = Field(default=False, description="Let several instances listen on one callback port.")
    max_body_bytes: Bytes = Field(ByteSize(MIB), description="Largest request body; a larger one is answered 413.")
    max_connections: Count = Field(
        4_096, description="Connections that may be open; then idle and slow ones give way to new ones."
    )
    max_connections_per_address: Count | None = Field(
        None, description="The same for one client (IPv6: one /64); trusted proxies are exempt. Unset: no limit."
    )
    max_requests: Count = Field(
        1_024, description="Requests that may be worked on, their bodies being there; more are answered 503."
    )
    large_bodies_max_bytes: Bytes = Field(
        ByteSize(64 * MIB),
        description="Memory for request bodies, beyond the first 64 KiB of each; larger ones are answered 503 then.",
    )
    header_timeout_s: Seconds = Field(10.0, description="Seconds in which a request's head must have come.")
    body_timeout_s: Seconds = Field(
        10.0, description="Seconds in which a request's body must have come, and in which an answer must be taken."
    )
    answer_deadline_s: Seconds = Field(2.0, description="Seconds after which a callback is answered in any case.")
    keepalive_timeout_s: Seconds = Field(75.0, description="Seconds that an idle connection stays open.")
    database_timeout_s: Seconds = Field(1.0, description="Seconds that a statement or commit may take.")
    require_sync_replica: bool = Field(
        default=False,
        description="Take a report for committed once a synchronous standby has it too; without one it goes to the "
        "spool.",
    )
    queue_max_reports: Count = Field(50_000, description="Reports that may wait in memory for PostgreSQL.")
    flush_max_reports: Count = Field(2_000, description="Most reports in one commit.")
    spool_max_bytes: Bytes = Field(
        ByteSize(1024 * MIB), description="Size at which the spool is full (`2GiB` works too)."
    )
    partition_days_ahead: DaysAhead = Field(7, description="Days ahead for which partitions are made; at most 365.")
    retention_days: Count | None = Field(None, description="Days after which reports and messages go. Unset: never.")
    counts_days: Count = Field(800, description="Days after which the counts by the hour (`sms.hourly`) are dropped.")
    rejected_days: Count = Field(
        90, description="Days after which rejected payloads are dropped; `RECEIVER_RETENTION_DAYS` where that is less."
    )
    rejected_max_bytes: RejectedBytes = Field(
        ByteSize(1024 * MIB),
        description="Most bytes of rejected payloads in PostgreSQL, the oldest are dropped first; at least 4MiB and "
        "twenty times the largest body.",
    )
    reporting_windows_h: Windows = Field(
        default_factory=dict,
        description="Hours within which a platform reports, `platform=hours,…`, for `sms.overdue_message`.",
        json_schema_extra={"default": "as each platform documents it"},
    )
    shutdown_delay_s: Pause = Field(
        0.0,
        description="Seconds for which a service that is to stop goes on taking callbacks while `/readyz` says 503, "
        "for a load balancer to notice.",
    )
    drain_delay_s: Pause = Field(
        0.5, description="Seconds in which open connections may bring their last requests when the service stops."
    )
    shutdown_timeout_s: Seconds = Field(20.0, description="Seconds that requests under way may take when it stops.")
    log_format: LogFormat = Field(
        None,
        description="`json` or `console`. Unset: console on a terminal, else JSON.",
    )
    log_level: LogLevel = Field("INFO", description="Least level that is logged: `DEBUG` to `CRITICAL`.")

    @property
    def database_setting(self) -> str:
        """The setting behind the database's URL, for error texts: the variable, with its value if that is no secret."""
        return variable("database_url") if self.database_url else f"{variable('data_dir')}={self.data_dir}"

    def secrets_by_access(self, platform: str) -> dict[str, str]:
        """The key pairs of one platform's pushes: access key → secret."""
        pairs = [key.get_secret_value().split(":", 2) for key in self.push_keys]
        return {access: secret for name, access, secret in pairs if name == platform}

    def secrets(self) -> list[str]:
        """Every secret in the settings, for `logs.configure` to mask, in every command."""
        urls = [url.get_secret_value() for url in (self.database_url, self.read_database_url) if url]
        written = {password for url in urls for password in passwords(url)}
        return [
            *(token.get_secret_value() for token in self.callback_tokens),
            *((self.ops_token.get_secret_value(),) if self.ops_token else ()),
            *(key.get_secret_value().split(":", 2)[2] for key in self.push_keys),
            *(password for password in written if len(password) >= _MIN_MASKED),
        ]

    @model_validator(mode="after")
    def _check_ports(self) -> Self:
        if self.port == self.ops_port != 0:
            raise ValueError(f"{PREFIX}PORT and {PREFIX}OPS_PORT must differ: both are {self.port}")
        return self

    @model_validator(mode="after")
    def _check_rejected_bytes(self) -> Self:
        """An instance checks the quota after each sixteenth of it (store/maintenance/rejected_quota.py)."""
        if self.rejected_max_bytes < 20 * self.max_body_bytes:
            raise ValueError(f"{PREFIX}REJECTED_MAX_BYTES must be at least twenty times {PREFIX}MAX_BODY_BYTES")
        return self

    @model_validator(mode="after")
    def _check_replica(self) -> Self:
        if self.require_sync_replica and self.database_url is None:
            name = variable("require_sync_replica")
            raise ValueError(f"{name} needs {variable('database_url')}: the embedded PostgreSQL has no standby")
        return self

    @model_validator(mode="after")
    def _check_tls_files(self) -> Self:
        certificates, keys = len(self.tls_certificate), len(self.tls_key)
        if certificates != keys:
            names = f"{PREFIX}TLS_CERTIFICATE and {PREFIX}TLS_KEY"
            raise ValueError(f"{names} belong together: {certificates} and {keys} files are named")
        if self.tls_client_ca and not certificates:
            raise ValueError(f"{PREFIX}TLS_CLIENT_CA has no effect without {PREFIX}TLS_CERTIFICATE")
        return self


def variable(name: str) -> str:
    """The environment variable of a field of `Settings`."""
    return f"{PREFIX}{name.upper()}"


def load() -> Settings:
    """The settings of this process; the environment overrides `.env`. Raises SettingsError."""
    return read(Settings)


def unknown_variables(environ: Mapping[str, str] | None = None, *, known: Iterable[str] = ()) -> list[str]:
    """The `RECEIVER_*` variables that are no setting, sorted; by default those of this process and its `.env`.

    `known` are variables of settings outside `Settings`.
    """
    if environ is None:
        in_file = DotEnvSettingsSource(Settings).env_vars
        environ = {**os.environ, **{name: value or "" for name, value in in_file.items()}}
    ours = {variable(name) for name in Settings.model_fields}
    return sorted({name.upper() for name in environ if name.upper().startswith(PREFIX)} - ours - set(known))
