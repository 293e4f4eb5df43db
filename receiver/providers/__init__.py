"""The supported platforms. A new one is a file here, one line below, a table in the catalogue, and fixtures."""

from typing import Final

from receiver.providers import cloudsms, huawei, tencent, tencent_pulled
from receiver.providers.base import Endpoint, Origin, Parse, Provider, Verify
from receiver.report import ProviderName

PROVIDERS: Final[tuple[Provider, ...]] = (
    huawei.PROVIDER,
    cloudsms.PROVIDER,
    tencent.PROVIDER,
)

ENDPOINTS: Final[dict[str, Endpoint]] = {e.path: e for provider in PROVIDERS for e in provider.endpoints}
"""Callback endpoints, by the path after `/callback/`."""

SOURCES: Final[dict[str, Endpoint]] = {source.path: source for source in tencent_pulled.SOURCES}
"""Pulled answers (`receiver.pull`), by path: kept and parsed like callbacks, but without a URL."""

SUBMISSIONS_PREFIX: Final = "submissions/"

SUBMISSIONS: Final[dict[str, Parse]] = {SUBMISSIONS_PREFIX + p.name: p.submissions for p in PROVIDERS if p.submissions}
"""Parsers of the sending application's submissions, by path on the ops listener."""

VERIFIERS: Final[dict[str, Verify]] = {p.name: p.verify for p in PROVIDERS if p.verify}
"""Signature checks of the platforms that can sign their pushes, by name."""

ORIGINS: Final[dict[str, Origin]] = {p.name: p.origin for p in PROVIDERS if p.origin}
"""Presets for allow lists, by platform."""

INTAKES: Final[dict[str, Parse]] = {
    **{path: endpoint.parse for path, endpoint in (ENDPOINTS | SOURCES).items()},
    **SUBMISSIONS,
}
"""All parsers, of callbacks, pulled answers and submissions, by path."""


PROVIDER_BY_PATH: Final[dict[str, ProviderName]] = {
    **{path: endpoint.provider for path, endpoint in (ENDPOINTS | SOURCES).items()},
    **{SUBMISSIONS_PREFIX + p.name: p.name for p in PROVIDERS if p.submissions},
}
"""The provider of each path in INTAKES."""


def provider_of(path: str) -> ProviderName:
    """The provider's name in the path of a callback or a submission."""
    return ProviderName(path.removeprefix(SUBMISSIONS_PREFIX).partition("/")[0])


def url_path(path: str) -> str:
    """The path of the URL for an internal path."""
    return f"/{path}" if path.startswith(SUBMISSIONS_PREFIX) else f"/callback/{path}"
