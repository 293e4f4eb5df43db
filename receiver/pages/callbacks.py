"""`/callbacks`: the URLs to register at the platforms, how each is protected, and a test send."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Final, NamedTuple

from aiohttp import web

from receiver.addresses import is_loopback
from receiver.pages.forms import fields
from receiver.pages.rendering import render
from receiver.pages.sending import TOKEN, Sender, TooSoon, can_send
from receiver.pages.site import SITE, Site
from receiver.providers import PROVIDERS, url_path
from receiver.providers.base import Provider
from receiver.server.protocol import remote_of
from receiver.settings import Settings, variable
from receiver.telemetry.logs import get_logger
from receiver.web import exposure
from receiver.web.ops_refusals import Refusal
from receiver.web.ops_session import session_of

SENDER: Final = web.AppKey("sender", Sender)

log = get_logger()

_NOT_SHOWN: Final = f"tokens are shown to those who have logged in with {variable('ops_token')}, and to nobody else"

_MEANINGS: Final = {
    200: "The report was taken: the message is there.",
    400: "The body was not understood. It is kept as a rejected payload.",
    401: "The signature does not fit: the platform may sign otherwise, or the public URL is another one.",
    403: "This machine may not call, only the platform: by its address, or its certificate. So it was set.",
    404: "There is no such URL: something else may listen on this port.",
    503: "It could not be kept, or there were too many requests: the spool's page says more.",
}
"""By the status of the answer to a test send."""


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
    can_send: bool


async def show(request: web.Request) -> web.Response:
    """The page; the tokens are placeholders."""
    return page(request, _placeholders(request))


async def show_tokens(request: web.Request) -> web.Response:
    """The page with the tokens, for a session that has logged in. Raises Refusal."""
    settings, session = request.app[SITE].settings, session_of(request)
    if settings.ops_token is None or session is None or not session.is_signed_in:
        raise Refusal(_NOT_SHOWN)
    log.info("callback.tokens_shown", remote=remote_of(request))
    tokens = [token.get_secret_value() for token in settings.callback_tokens]
    return page(request, tokens or [""], shows_tokens=True)


async def send_test(request: web.Request) -> web.Response:
    """Send one report of the form's `provider`, and show the answer. Raises HTTPNotFound."""
    site, provider = request.app[SITE], fields(request).get("provider", "")
    if site.callbacks is None or not can_send(provider):
        raise web.HTTPNotFound(text="there is no such platform to send as")
    try:
        sent = await request.app[SENDER].send(site, provider)
    except TooSoon:
        answer = page(request, _placeholders(request), problem="A test was just sent: wait two seconds.")
        answer.set_status(HTTPStatus.TOO_MANY_REQUESTS)
        return answer
    return page(request, _placeholders(request), sent=sent, meaning=_MEANINGS.get(sent.status or 0, ""))


def _placeholders(request: web.Request) -> list[str]:
    return [TOKEN] if request.app[SITE].settings.callback_tokens else [""]


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
        "shows_tokens": False,
        "advice": exposure.ADVICE,
        "sent": None,
        "meaning": "",
        "problem": None,
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
    return Platform(
        provider.name, provider.title, urls, list(protections(provider, site.settings)), can_send(provider.name)
    )


def protections(provider: Provider, settings: Settings) -> Iterator[str]:
    """The obstacles for a stranger that sends reports in this platform's name."""
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
