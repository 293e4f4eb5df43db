"""Allow lists of client addresses per platform, from networks and the platforms' presets."""

from collections.abc import Iterable

from receiver.addresses import Networks
from receiver.providers import ORIGINS
from receiver.report import ProviderName
from receiver.settings import Settings
from receiver.telemetry.logs import get_logger

log = get_logger()


def allow_lists(settings: Settings) -> dict[ProviderName, Networks]:
    """The allowed networks of each platform with a list."""
    return {
        ProviderName(name): Networks.of(_networks(name, entries))
        for name, entries in settings.allowed_addresses.items()
    }


def _networks(platform: str, entries: Iterable[str]) -> Iterable[str]:
    for entry in entries:
        if origin := ORIGINS.get(entry):
            if not origin.complete:
                log.warning("addresses.incomplete", provider=platform, preset=entry)
            yield from origin.networks
        else:
            yield entry
