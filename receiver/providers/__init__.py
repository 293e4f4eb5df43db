"""The platforms that we understand. A new one is a file here, one line below, one in the catalogue, and fixtures."""

from typing import Final

from receiver.providers import cloudsms, huawei, tencent
from receiver.providers.contract import Endpoint, Provider
from receiver.providers.traffic import Traffic

PROVIDERS: Final[tuple[Provider, ...]] = (
    huawei.PROVIDER,
    cloudsms.PROVIDER,
    tencent.PROVIDER,
)

ENDPOINTS: Final[dict[str, Endpoint]] = {e.path: e for provider in PROVIDERS for e in provider.endpoints}
"""By what follows `/callback/`."""

TRAFFICS: Final[dict[str, Traffic]] = {provider.name: provider.traffic for provider in PROVIDERS}
"""How `receiver simulate` plays each of them."""
