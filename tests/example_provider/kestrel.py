"""Kestrel Messaging, which does not exist: with it the suite tries the guide "Adding a provider" (CONTRIBUTING.md).

A callback is a form with one state of one message, sent to a URL to which the sender has added a query of its own:

    POST /callback/kestrel/status?order=17
    MessageId=k-4711&State=handed-over&To=%2B8615512345678

No state has a time. Before the last one they follow each other as in `_SEQUENCE`. The answer is the word `OK`, or
`ERROR` and a reason. A signed callback has a header `X-Kestrel-Signature: <account>:<Base64>`: HMAC-SHA256, with the
account's secret, over the URL as Kestrel calls it and the form's names and values, sorted by name and joined.
"""

import hmac
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl

from pydantic import Field

from receiver.providers.base import CheckBody, Endpoint, Parsed, Provider, Request, SignatureError, SignedHead, Verdict
from receiver.providers.fields import context, e164, meaning
from receiver.providers.payload import Item, OptionalText, Text, Wire, as_json_text, mending, parse_form, read, text_of
from receiver.report import DeliveryReport, ProviderName, delivery_report

NAME: Final = ProviderName("kestrel")

_QUERY: Final = "?"
"""Where the URL's query stands in the raw report: no field of the form is called so."""

_SEQUENCE: Final = {"waiting": 1, "released": 2, "handed-over": 3, "buffered": 4}


class StateChange(Wire):
    """The form of a callback."""

    message_id: Text = Field(alias="MessageId")
    state: Text = Field(alias="State")
    to: OptionalText = Field(None, alias="To")


def parse(request: Request) -> Parsed:
    """The report of one callback."""
    item = parse_form(text_of(request.body))
    if request.query:
        item[_QUERY] = parse_form(request.query)
    faults: list[str] = []
    return Parsed(reports=[mending(_report, item, faults)], faults=faults)


def _report(item: Item) -> DeliveryReport:
    raw = as_json_text(item)
    wire = read(StateChange, item)
    status, reason = meaning(NAME, wire.state)
    recipient, country = e164(wire.to or "")
    return delivery_report(
        provider=NAME,
        message_id=wire.message_id,
        recipient=recipient,
        country=country,
        code=wire.state,
        status=status,
        reason=reason,
        sequence=_SEQUENCE.get(wire.state, 0),
        context=context({"query": item.get(_QUERY)}),
        raw=raw,
    )


def verify(head: SignedHead, keys: Mapping[str, str], _now: datetime) -> CheckBody:
    """Whether an account of `keys` signed this URL with the form that follows."""
    given = [value for name, value in head.headers if name.lower() == "x-kestrel-signature"]
    account, colon, signature = given[0].strip().partition(":") if len(given) == 1 else ("", "", "")
    if not colon:
        raise SignatureError("there is not one header x-kestrel-signature of account and signature")
    secret = keys.get(account)
    if secret is None:
        raise SignatureError("no key pair has this account")

    def check(body: bytes) -> None:
        fields = sorted(parse_qsl(body.decode(errors="surrogateescape"), keep_blank_values=True))
        signed = head.public_url + "".join(f"{name}{value}" for name, value in fields)
        code = hmac.digest(secret.encode(), signed.encode(errors="surrogateescape"), "sha256")
        if not hmac.compare_digest(b64encode(code), signature.encode(errors="surrogateescape")):
            raise SignatureError(
                "the signature does not fit: the secret, RECEIVER_PUBLIC_URL or the form is another one"
            )

    return check


def answer(verdict: Verdict, description: str, _context: Mapping[str, object]) -> bytes:
    """A word, and what was wrong."""
    return b"OK" if verdict is Verdict.GOOD else f"ERROR {description}".encode(errors="replace")


PROVIDER: Final = Provider(
    name=NAME,
    title="Kestrel Messaging",
    endpoints=(
        Endpoint(
            provider=NAME,
            path="kestrel/status",
            parse=parse,
            answer=answer,
            media_type="text/plain; charset=utf-8",
            reads_query=True,
        ),
    ),
    verify=verify,
)
