"""The platforms that we understand. A new one is a file here, one line below, one in the catalogue, and fixtures."""

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
"""By what follows `/callback/`."""

SOURCES: Final[dict[str, Endpoint]] = {source.path: source for source in tencent_pulled.SOURCES}
"""What we fetch ourselves (`receiver.pull`): kept and understood like callbacks, but no URL leads to them."""

SUBMISSIONS_PREFIX: Final = "submissions/"

SUBMISSIONS: Final[dict[str, Parse]] = {SUBMISSIONS_PREFIX + p.name: p.submissions for p in PROVIDERS if p.submissions}
"""What the sending application hands over, by path on the ops listener."""

VERIFIERS: Final[dict[str, Verify]] = {p.name: p.verify for p in PROVIDERS if p.verify}
"""Those whose platforms can sign their pushes."""

ORIGINS: Final[dict[str, Origin]] = {p.name: p.origin for p in PROVIDERS if p.origin}
"""The presets of who may call, by name."""

INTAKES: Final[dict[str, Parse]] = {
    **{path: endpoint.parse for path, endpoint in (ENDPOINTS | SOURCES).items()},
    **SUBMISSIONS,
}
"""Everything that is understood, however it comes."""


PROVIDER_BY_PATH: Final[dict[str, ProviderName]] = {
    **{path: endpoint.provider for path, endpoint in (ENDPOINTS | SOURCES).items()},
    **{SUBMISSIONS_PREFIX + p.name: p.name for p in PROVIDERS if p.submissions},
}
"""Of everything that is understood."""


def provider_of(path: str) -> ProviderName:
    """Whose path it is, a callback's or a submission's."""
    return ProviderName(path.removeprefix(SUBMISSIONS_PREFIX).partition("/")[0])


def url_path(path: str) -> str:
    """The path of a request's URL, from the name it has within."""
    return f"/{path}" if path.startswith(SUBMISSIONS_PREFIX) else f"/callback/{path}"
