"""Requests made of events: batches, replies, and now and then a body that nobody can read. Pure and seeded."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from random import Random
from typing import Final, Literal

from receiver.simulate.dialects.base import Dialect, Push
from receiver.simulate.lifecycles import Plan, emissions

Kind = Literal["reports", "reply", "malformed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One push to send. `reports` counts the reports in it, `repeats` those of them that went out before."""

    kind: Kind
    push: Push
    reports: int = 0
    repeats: int = 0

    @property
    def expected_status(self) -> int:
        """The HTTP status of the right answer."""
        return 400 if self.kind == "malformed" else 200


def requests(dialect: Dialect, plan: Plan) -> Iterator[Request]:
    """The same plan gives the same bytes. Malformed bodies and replies come on top of the reports asked for."""
    # A generator of its own, so that another batch size does not change the messages.
    rng = Random(f"{plan.seed} requests")  # noqa: S311  # to be repeated, not to be secret
    stream = emissions(dialect, plan)
    while group := list(islice(stream, _group_size(rng, dialect, plan))):
        push = dialect.report([emission.event for emission in group])
        if rng.random() < plan.malformed:
            yield Request(kind="malformed", push=_spoil(rng, push))
        repeats = sum(emission.again for emission in group)
        yield Request(kind="reports", push=push, reports=len(group), repeats=repeats)
        if dialect.reply and rng.random() < plan.replies and (answer := dialect.reply(group[-1].event)):
            yield Request(kind="reply", push=answer)


def _group_size(rng: Random, dialect: Dialect, plan: Plan) -> int:
    largest = min(plan.batch_size, dialect.max_batch)
    return rng.randint(2, largest) if largest > 1 and rng.random() < plan.batches else 1


def _cut_short(body: bytes) -> bytes:
    """Early enough that the fields that a report needs are missing, even in a form."""
    return body[: max(1, len(body) // 4)]


def _not_utf8(body: bytes) -> bytes:
    return b"\xff\xfe" + body


def _nothing_in_it(_body: bytes) -> bytes:
    return b"{}"


def _error_page(_body: bytes) -> bytes:
    return b"<html><body><h1>502 Bad Gateway</h1></body></html>"


_WAYS: Final[tuple[Callable[[bytes], bytes], ...]] = (_cut_short, _not_utf8, _nothing_in_it, _error_page)


def _spoil(rng: Random, push: Push) -> Push:
    """A push like this one that no receiver can understand."""
    return replace(push, body=rng.choice(_WAYS)(push.body), message_ids=())
