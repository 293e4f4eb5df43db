"""The platforms that we understand. A new one is a file here, one line below, one in the catalogue, and fixtures."""

from typing import Final

from receiver.providers import cloudsms, huawei, tencent, tencent_pulled
from receiver.providers.contract import Endpoint, Parse, Provider
from receiver.providers.traffic import Traffic

PROVIDERS: Final[tuple[Provider, ...]] = (
    huawei.PROVIDER,
    cloudsms.PROVIDER,
    tencent.PROVIDER,
)

ENDPOINTS: Final[dict[str, Endpoint]] = {e.path: e for provider in PROVIDERS for e in provider.endpoints}
"""By what follows `/callback/`."""

SOURCES: Final[dict[str, Endpoint]] = {source.path: source for source in tencent_pulled.SOURCES}
"""What we fetch ourselves (`receiver.pull`): kept and understood like callbacks, but no URL leads to them."""

TRAFFICS: Final[dict[str, Traffic]] = {provider.name: provider.traffic for provider in PROVIDERS}
"""How `receiver simulate` plays each of them."""

SUBMISSIONS: Final[dict[str, Parse]] = {f"submissions/{provider.name}": provider.submissions for provider in PROVIDERS}
"""What the sending application hands over, by path on the ops listener."""
