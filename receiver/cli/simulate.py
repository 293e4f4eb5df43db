"""`receiver simulate`: its options, its progress bar and its summary."""

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, Final, TextIO, TypedDict, TypeVar, Unpack

import click

from receiver.cli.common import base_url, moment, run_interruptibly
from receiver.cli.progress import progress
from receiver.errors import OperatorError
from receiver.signals import Interrupted
from receiver.simulate.dialects import DIALECTS
from receiver.simulate.dialects.base import Dialect, Push
from receiver.simulate.lifecycles import Plan
from receiver.simulate.probe import advice, probe, shown_address
from receiver.simulate.send import GaveUp, Target, send
from receiver.simulate.tally import Outcome, Tally, as_text, ledger_line
from receiver.simulate.traffic import Request, requests

F = TypeVar("F", bound=Callable[..., Any])

_GIVE_UP: Final = 200
"""Four seconds at the usual rate: longer than a restart takes."""


class Shares(TypedDict):
    """The shares of a plan, each an option of the command."""

    failures: float
    long: float
    duplicates: float
    malformed: float
    replies: float
    batches: float


_SHARES: Final = (
    ("failures", 0.1, "Share of messages that fail."),
    ("long", 0.1, "Share of messages that have several segments."),
    ("duplicates", 0.02, "Share of reports that are sent twice."),
    ("malformed", 0.01, "Share of requests that a broken one comes before."),
    ("replies", 0.01, "Share of requests that a subscriber's reply comes after."),
    ("batches", 0.5, "Share of requests that are batches, where the provider has them."),
)


def _share_options(command: F) -> F:
    for name, default, text in reversed(_SHARES):
        add = click.option(f"--{name}", default=default, show_default=True, type=click.FloatRange(0, 1), help=text)
        command = add(command)
    return command


@click.command()
@click.argument("provider", type=click.Choice(sorted(DIALECTS)))
@click.option(
    "--url", default="http://127.0.0.1:8080", show_default=True, callback=base_url, help="The receiver's address."
)
@click.option("--token", envvar="RECEIVER_SIMULATE_TOKEN", show_envvar=True, help="Callback token, if one is needed.")
@click.option(
    "--sign",
    "key_pair",
    envvar="RECEIVER_SIMULATE_SIGN",
    show_envvar=True,
    help="Key pair, access:secret, to sign with.",
)
@click.option("--count", default=1000, show_default=True, type=click.IntRange(1), help="Reports to send.")
@click.option(
    "--rate", default=50.0, show_default=True, type=click.FloatRange(0), help="Reports a second; 0: no limit."
)
@click.option("--concurrency", default=64, show_default=True, type=click.IntRange(1, 1000), help="Requests at once.")
@click.option("--timeout", default=10.0, show_default=True, type=click.FloatRange(0.001), help="Seconds for an answer.")
@click.option(
    "--give-up",
    default=_GIVE_UP,
    show_default=True,
    type=click.IntRange(0),
    help="Stop after so many requests in a row without the right answer; 0: never.",
)
@click.option("--seed", default=1, show_default=True, help="With another seed, other messages.")
@click.option(
    "--now", callback=moment, metavar="TIME", help="The time at which the run pretends to begin.  [default: now]"
)
@_share_options
@click.option("--batch-size", default=20, show_default=True, type=click.IntRange(1), help="Reports in a batch at most.")
@click.option("--shuffle/--no-shuffle", default=True, show_default=True, help="Send a tenth of the reports late.")
@click.option("--record", type=click.File("w", lazy=False), help="File for a line of JSON on each request.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def simulate(
    *,
    provider: str,
    url: str,
    token: str | None,
    key_pair: str | None,
    count: int,
    rate: float,
    concurrency: int,
    timeout: float,
    give_up: int,
    seed: int,
    now: datetime | None,
    batch_size: int,
    shuffle: bool,
    record: TextIO | None,
    as_json: bool,
    **shares: Unpack[Shares],
) -> None:
    """Send believable callbacks of PROVIDER to a running receiver.

    The same options with the same --seed and --now make the same requests, byte for byte: a second run then sends
    nothing but duplicates. Broken requests should be answered with 400 and all others with 200.

    It asks first whether the callback URL is there, and sends nothing if it is not.

    Exit code 0: every answer was as it should be. 1: some were not, or did not come. 130: interrupted.
    """
    now = (now or datetime.now(UTC)).astimezone(UTC)
    pace = 1 / rate if rate else 0.0
    plan = Plan(
        seed=seed,
        count=count,
        ends_at=now + timedelta(seconds=count * pace),
        spacing_s=pace,
        batch_size=batch_size,
        shuffle=shuffle,
        **shares,
    )
    sign = _signer(DIALECTS[provider], key_pair)
    target = Target(
        url=url, token=token, rate=rate, concurrency=concurrency, timeout_s=timeout, give_up=give_up, sign=sign
    )
    tally = Tally()
    wrong, cut_short = None, 0
    try:
        _run(requests(DIALECTS[provider], plan), target, tally, count, record)
    except GaveUp as error:
        wrong = error
    except Interrupted as error:
        cut_short = error.exit_code
    begun = now.isoformat().replace("+00:00", "Z")
    summary = {"provider": provider, "url": url, "seed": seed, "now": begun, **tally.summary()}
    click.echo(json.dumps(summary) if as_json else as_text(summary))
    if wrong is not None:
        raise OperatorError(f"{give_up} requests in a row went wrong: {_last_answer(url, wrong.answer)}") from wrong
    sys.exit(cut_short or (0 if tally.as_expected else 1))


def _signer(dialect: Dialect, key_pair: str | None) -> Callable[[str, Push], dict[str, str]] | None:
    """A function that signs a push with the key pair at the time of sending; None without a key pair."""
    if key_pair is None:
        return None
    access, colon, secret = key_pair.partition(":")
    make = dialect.sign
    if make is None or not (access and colon and secret):
        raise click.UsageError("--sign takes access:secret, for a platform that signs its pushes")
    return lambda url, push: make(url, push.body, push.content_type, access=access, secret=secret, at=datetime.now(UTC))


def _last_answer(url: str, answer: str) -> str:
    if answer.isdecimal():
        return f"{shown_address(url)} {advice(int(answer))}"
    return f"the last one at {shown_address(url)} had no answer ({answer}): see whether the receiver still runs"


def _run(stream: Iterator[Request], target: Target, tally: Tally, count: int, record: TextIO | None) -> None:
    """Send everything, with its progress. Raises NothingAnswers, GaveUp, Interrupted."""

    async def work() -> None:
        first = next(stream)
        await probe(target, first.push.path)
        with progress("reports", count) as shown:

            def note(request: Request, answer: str, outcome: Outcome) -> None:
                shown.advance(request.reports)
                if unexpected := tally.outcomes.total() - tally.outcomes["ok"]:
                    shown.note(f"{unexpected} unexpected answers")
                if record:
                    record.write(ledger_line(request, answer, outcome))
                    record.flush()

            await send(chain([first], stream), target, tally, note)

    run_interruptibly(work())
