"""Warns at the start if anybody could send reports in a platform's name: nothing else would show it."""

from typing import Final

from receiver.addresses import is_loopback
from receiver.providers import PROVIDERS
from receiver.report import ProviderName
from receiver.settings import Settings, variable
from receiver.telemetry.logs import get_logger

ADVICE: Final = (
    f"set {variable('callback_tokens')}; or, where a platform allows it, {variable('allowed_addresses')}, "
    f"{variable('push_keys')} or {variable('tls_client_ca')}; or {variable('host')}=127.0.0.1"
)

log = get_logger()


def unprotected(settings: Settings) -> list[ProviderName]:
    """The platforms without any protection against forged reports."""
    if settings.callback_tokens or is_loopback(settings.host):
        return []
    signing = {key.get_secret_value().partition(":")[0] for key in settings.push_keys}
    guarded = signing | settings.allowed_addresses.keys() | settings.tls_client_ca.keys()
    return [provider.name for provider in PROVIDERS if provider.name not in guarded]


def warn_if_open(settings: Settings) -> None:
    """Log one warning if a platform's URLs have no token and its calls are not checked in any other way."""
    if platforms := unprotected(settings):
        log.warning("callback.unprotected", host=settings.host, platforms=", ".join(platforms), advice=ADVICE)
