"""Every `RECEIVER_*` variable with its default, and what is said about values that cannot be used."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings
from support.golden import check
from support.preloaded import Commands

import receiver

WRONG = {
    "host": "no host",
    "port": "http",
    "ops_port": "65536",
    "ops_token": "short",
    "ops_allowed_hosts": "http://receiver",
    "database_url": "mysql://sms:hunter2@db/sms",
    "read_database_url": "replica",
    "tls_certificate": ",",
    "tls_client_ca": "huawei",
    "callback_tokens": "tooshort",
    "push_keys": "huawei:access",
    "public_url": "sms.example.com",
    "keep_unsigned": "maybe",
    "trusted_proxies": "10.0.0.1/8",
    "workers": "17",
    "allowed_addresses": "10.0.0.0/8",
    "max_body_bytes": "much",
    "max_connections": "0",
    "header_timeout_s": "inf",
    "rejected_max_bytes": "1KiB",
    "retention_days": "0",
    "partition_days_ahead": "366",
    "reporting_windows_h": "huawei=soon",
    "log_format": "xml",
    "log_level": "loud",
}
"""All in one run, because every wrong one is told at once."""

ALONE: tuple[dict[str, str], ...] = (
    {"port": "8081"},
    {"tls_certificate": "a.pem"},
    {"tls_client_ca": "huawei=ca.pem"},
    {"max_body_bytes": "1GiB"},
    {"callback_tokens": "CHANGE-ME-0123456789"},
    {"allowed_addresses": "acme=10.0.0.0/8"},
    {"push_keys": "cloudsms:access:secret-0123456789"},
)
PULLING: tuple[dict[str, str], ...] = (
    {},
    {"tencent_pull_secret_id": "id"},
    {"tencent_pull_interval_s": "soon", "tencent_pull_limit": "101", "tencent_pull_max_calls_per_s": "0"},
)


def models(base: type[BaseSettings] = BaseSettings) -> Iterator[type[BaseSettings]]:
    """Those that are read from the environment, wherever in the house they stand."""
    for model in base.__subclasses__():
        yield from models(model)
        if model.__module__.startswith("receiver.") and model.model_config.get("env_prefix"):
            yield model


def default(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    told = extra.get("default", field.default) if isinstance(extra, dict) else field.default
    return "unset" if told in (None, ()) else str(told)


def test_variables() -> None:
    for module in walk_packages(receiver.__path__, "receiver."):
        import_module(module.name)
    told = {
        f"{model.model_config['env_prefix']}{name.upper()} = {default(field)}"
        for model in models()
        for name, field in model.model_fields.items()
    }
    check("settings.txt", "\n".join(sorted(told)))


async def test_wrong_values(commands: Commands) -> None:
    told = [(await commands.run("database-url", **WRONG)).err.replace("; RECEIVER_", "\nRECEIVER_")]
    told += [(await commands.run("database-url", **wrong)).err for wrong in ALONE]
    told += [(await commands.run("pull", "tencent", **wrong)).err for wrong in PULLING]
    check("settings-wrong.txt", "\n".join(told))
