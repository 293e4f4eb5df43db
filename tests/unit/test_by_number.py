"""Asking for a number's reports: in pieces that the platform can tell of, and without a silent end."""

import json
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest
from support.capture import captured_log

from receiver.inbound import Inbound
from receiver.pull import by_number
from receiver.pull.by_number import Found
from receiver.pull.source import Lookup, PulledAnswer, PullFailed

NUMBER = "+8613800000001"
LIMIT = 10
BEGIN = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
FIRST = int(BEGIN.timestamp())
Refuse = Callable[[int, int], PullFailed | None]


class Platform:
    """It knows reports by the second, and tells of at most ten at a time; `includes_end` is nowhere documented."""

    def __init__(self, per_second: dict[int, int], *, includes_end: bool = True, refuse: Refuse = lambda *_: None):
        self.known = [f"{second}-{number}" for second, count in per_second.items() for number in range(count)]
        self.asked: list[tuple[int, int]] = []
        self.stored: Counter[str] = Counter()
        self._includes_end = includes_end
        self._refuse = refuse

    def fetch(self, _number: str, since: datetime, until: datetime) -> PulledAnswer:
        first, last = (int(moment.timestamp()) - FIRST for moment in (since, until))
        self.asked.append((first, last))
        if error := self._refuse(first, last):
            raise error
        meant = range(first, last + self._includes_end)
        found = [name for name in self.known if int(name.partition("-")[0]) in meant][:LIMIT]
        return PulledAnswer(json.dumps(found).encode(), len(found))

    async def store(self, callback: Inbound) -> int:
        names = json.loads(callback.body)
        new = [name for name in names if name not in self.stored]
        self.stored.update(names)
        return len(new)

    async def look_up(self, seconds: int) -> Found:
        lookup = Lookup(path="acme/pulled", limit=LIMIT, gap_s=0.0, timeout_s=60.0, fetch=self.fetch)
        until = BEGIN + timedelta(seconds=seconds)
        return await by_number.look_up([lookup], [NUMBER], BEGIN, until, self.store)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_number, "_FIRST_PAUSE_S", 0.0)


@pytest.mark.parametrize(
    ("per_second", "seconds", "new", "incomplete"),
    [
        (dict.fromkeys(range(100), 4), 99, 400, 0),
        ({0: 8, 1: 9}, 1, 17, 0),
        # A second in which two spans meet is told of once.
        ({5: 25}, 10, 10, 1),
    ],
    ids=["spread over the seconds", "two full seconds", "more than fit a second"],
)
async def test_what_the_platform_can_tell_of_is_found_whole(per_second, seconds, new, incomplete) -> None:
    platform = Platform(per_second)
    found = await platform.look_up(seconds)
    assert (found.numbers, found.new, found.incomplete) == (1, new, incomplete)
    assert found.items >= new
    assert incomplete or sorted(platform.stored) == sorted(platform.known)
    if seconds == 1:
        assert platform.asked == [(0, 1), (0, 0), (1, 1)]


@pytest.mark.parametrize("seconds", [0, 1, 60])
async def test_a_second_of_which_there_may_be_more_is_told_of(seconds: int) -> None:
    platform = Platform({0: 25, 7: 3})
    with captured_log() as log:
        found = await platform.look_up(seconds)
    assert found.incomplete == 1
    assert len(platform.stored) == 10 + 3 * (seconds >= 7), "what it told of is stored all the same"
    (line,) = log.events("pull.incomplete")
    assert (line["level"], line["source"], line["recipient"]) == ("warning", "acme/pulled", "+86138****0001")
    assert line["second"] == "2026-11-20T09:30:00+00:00"


async def test_where_a_spans_end_is_not_meant_nothing_is_called_whole_that_is_not() -> None:
    """Then a second alone is an empty span, and brings nothing."""
    platform = Platform({0: 12}, includes_end=False)
    found = await platform.look_up(60)
    assert (found.items, found.incomplete) == (10, 1)
    assert len(platform.stored) == 10


async def test_where_a_second_alone_is_refused_the_rest_is_stored() -> None:
    def refuse(first: int, last: int) -> PullFailed | None:
        return PullFailed("InvalidParameterValue.EndTimeVerifyFail", "no", permanent=True) if first == last else None

    platform = Platform({0: 12, 30: 5}, refuse=refuse)
    found = await platform.look_up(60)
    assert (len(platform.stored), found.incomplete) == (15, 1)


@pytest.mark.parametrize(
    ("errors", "asked"),
    [
        ([PullFailed("RequestLimitExceeded", "slower")] * 4, 5),
        ([PullFailed("AuthFailure.SignatureFailure", "check the key", permanent=True)], 1),
    ],
    ids=["what may be better is asked for again", "what will not is asked for once"],
)
async def test_a_refusal(errors, asked) -> None:
    left = list(errors)
    platform = Platform({0: 3}, refuse=lambda *_: left.pop() if left else None)
    with pytest.raises(PullFailed, match="AuthFailure") if errors[0].permanent else nullcontext():
        assert (await platform.look_up(60)).new == 3
    assert len(platform.asked) == asked
