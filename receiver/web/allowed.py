"""Who may call which platform's URLs: networks, and presets that belong to the platforms."""

from collections.abc import Iterable

from receiver.addresses import Networks
from receiver.logs import get_logger
from receiver.providers import ORIGINS, PROVIDERS
from receiver.report import ProviderName
from receiver.settings import Settings, SettingsError, variable

log = get_logger()


def allow_lists(settings: Settings) -> dict[ProviderName, Networks]:
    """The networks of each platform that has a list. Raises SettingsError."""
    platforms = sorted(provider.name for provider in PROVIDERS)
    if strange := settings.allowed_addresses.keys() - set(platforms):
        raise SettingsError(
            f"{variable('allowed_addresses')}: no platform is called {', '.join(sorted(strange))}; "
            f"there are {', '.join(platforms)}"
        )
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
            yield _checked(platform, entry)


def _checked(platform: str, entry: str) -> str:
    try:
        Networks.of([entry])
    except ValueError as error:
        presets = ", ".join(sorted(ORIGINS))
        raise SettingsError(
            f"{variable('allowed_addresses')}: {platform}={entry} is no network and no preset (there are {presets}): "
            f"{error}"
        ) from error
    return entry
