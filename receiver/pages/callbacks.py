"""`/callbacks`: the URLs to register at the platforms, how each is protected, and a test send."""

from collections.abc import Iterator
from typing import NamedTuple

from aiohttp import web

from receiver.addresses import is_loopback
from receiver.pages.rendering import render
from receiver.pages.site import SITE, Site
from receiver.providers import PROVIDERS, url_path
from receiver.providers.base import Provider
from receiver.settings import Settings, variable
from receiver.web import exposure

PLACEHOLDER = "<token>"


class CallbackUrl(NamedTuple):
    """One URL to register. `takes` and `where` are empty where the adapter does not tell."""

    url: str
    takes: str
    where: str


class Platform(NamedTuple):
    """A platform on the page; `protections` are sentences, none for one that anybody can speak for."""

    name: str
    title: str
    urls: list[CallbackUrl]
    protections: list[str]


async def show(request: web.Request) -> web.Response:
    """The page; the tokens are placeholders."""
    return page(request, [PLACEHOLDER] if request.app[SITE].settings.callback_tokens else [""])


def page(request: web.Request, tokens: list[str], **more: object) -> web.Response:
    """The page with these tokens at the ends of the URLs."""
    site = request.app[SITE]
    settings = site.settings
    context = {
        "listens": site.callbacks is not None,
        "base": base_url(site),
        "is_public": settings.public_url is not None,
        "platforms": [_platform(provider, site, tokens) for provider in PROVIDERS] if site.callbacks else [],
        "unprotected": exposure.unprotected(settings),
        "has_tokens": bool(settings.callback_tokens),
        "can_show_tokens": settings.ops_token is not None,
        "advice": exposure.ADVICE,
        **more,
    }
    return render(request, "callbacks.html", context)


def base_url(site: Site) -> str:
    """The public URL, or else that of the listener, without the slash at the end."""
    return (site.settings.public_url or site.callbacks or "").rstrip("/")


def _platform(provider: Provider, site: Site, tokens: list[str]) -> Platform:
    urls = []
    for endpoint in provider.endpoints:
        takes, where = provider.registrations.get(endpoint.path, ("", ""))
        url = base_url(site) + url_path(endpoint.path)
        urls += [CallbackUrl("/".join(filter(None, (url, token))), takes, where) for token in tokens]
    return Platform(provider.name, provider.title, urls, list(protections(provider, site.settings)))


def protections(provider: Provider, settings: Settings) -> Iterator[str]:
    """What a stranger would have to get past to send reports in this platform's name."""
    if number := len(settings.callback_tokens):
        yield f"a token at the end of the URL ({number} {'is' if number == 1 else 'are'} valid)"
    if settings.secrets_by_access(provider.name):
        yield f"a signature (`{variable('push_keys')}`)"
    if provider.name in settings.tls_client_ca:
        yield f"a client certificate (`{variable('tls_client_ca')}`)"
    if networks := settings.allowed_addresses.get(provider.name):
        yield f"a known address (`{variable('allowed_addresses')}`: {', '.join(networks)})"
    if is_loopback(settings.host):
        yield f"only this machine can connect (`{variable('host')}={settings.host}`)"
