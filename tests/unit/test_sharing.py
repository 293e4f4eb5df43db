"""Answers that viewers share: asked once for all, again when they are old, and nobody's error for the next one."""

import asyncio

import pytest

from receiver.pages.sharing import Shared


class Asked:
    """Counts how often it was asked; answers once it is let."""

    def __init__(self) -> None:
        self.times = 0
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.times += 1
        await self.may_answer.wait()
        if self.error:
            raise self.error
        return self.times


async def test_all_who_ask_while_it_is_answered_get_one_answer() -> None:
    shared, asked = Shared[int](), Asked()
    waiting = [asyncio.create_task(shared.get("a", asked, 5)) for _ in range(10)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    asked.may_answer.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert answers[1:] == [1] * 9, "one who went away takes nothing from the others"
    await shared.close()


async def test_an_answer_is_asked_for_again_when_it_is_old_or_has_failed() -> None:
    now = 100.0
    shared, asked = Shared[int](lambda: now), Asked()
    asked.may_answer.set()
    assert [await shared.get("a", asked, 5), await shared.get("a", asked, 5)] == [1, 1]
    now += 5.1
    asked.error = ConnectionResetError()
    with pytest.raises(ConnectionResetError):
        await shared.get("a", asked, 5)
    asked.error = None
    assert await shared.get("a", asked, 5) == 3
    await shared.close()


async def test_answers_are_bounded_and_what_is_asked_ends_with_the_service() -> None:
    shared, quick, never = Shared[int](), Asked(), Asked()
    quick.may_answer.set()
    for key in range(200):
        await shared.get(key, quick, 1_000)
    await shared.get(0, quick, 1_000)
    assert quick.times == 201, "the oldest was forgotten"
    waiting = asyncio.create_task(shared.get("never", never, 5))
    await asyncio.sleep(0)
    await shared.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_an_answer_that_does_not_last_is_asked_for_again_as_soon_as_that_took() -> None:
    now = 100.0

    async def ask() -> str:
        nonlocal now
        now += 3.0
        return answers.pop(0)

    answers = ["PostgreSQL is away", "well", "not asked"]
    shared = Shared[str](lambda: now, lasts=lambda answer: answer == "well")
    seen = []
    for _ in range(2):
        seen.append(await shared.get("a", ask, 60))
        now += 2.9
    for _ in range(2):
        now += 0.2
        seen.append(await shared.get("a", ask, 60))
    assert seen == ["PostgreSQL is away"] * 2 + ["well"] * 2
    await shared.close()
