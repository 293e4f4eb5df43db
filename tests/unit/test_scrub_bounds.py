"""The work of scrubbing an error is bounded, however long the text is and whatever it repeats."""

import re

import pytest

from receiver.telemetry import masking
from receiver.telemetry.masking import MAX_ERROR, MAX_TEXT, scrub_error, scrubber

TOKEN = "Zq7-callback_token.0123456789"
BEGINNINGS = ["input_value='x' ", "invalid input for query argument $1: ", "DETAIL:  ", "Failing row contains "]
BEGINNINGS += ["invalid input syntax for ", "postgresql://x:", "/callback/a/b/", "1 "]


class Spy:
    """In place of a pattern: how often it was asked, and how long the texts were."""

    def __init__(self, pattern: re.Pattern[str], seen: list[int]) -> None:
        self._pattern = pattern
        self._seen = seen

    def sub(self, replacement, text):
        self._seen.append(len(text))
        return self._pattern.sub(replacement, text)


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_no_pattern_sees_more_than_so_much_of_a_text(monkeypatch, beginning):
    seen: list[int] = []
    monkeypatch.setattr(masking, "_QUOTED", [Spy(pattern, seen) for pattern in masking._QUOTED])
    scrubbed = scrub_error(beginning * 200_000)
    assert len(scrubbed) <= MAX_TEXT + 1
    assert max(seen) <= MAX_ERROR + 1


@pytest.mark.parametrize("beginning", BEGINNINGS[:4])
def test_what_is_quoted_is_found_once_and_not_looked_for_again_behind_each_beginning(beginning):
    """A beginning without its end was looked for to the end of the text, again and again: the square of its length."""
    found = [pattern.findall(beginning * 100) for pattern in masking._QUOTED]
    assert [len(matches) for matches in found if matches] == [1]


def test_a_value_that_is_cut_off_is_hidden_all_the_same():
    assert scrub_error("Input should be a number [type=x, input_value='the text") == (
        "Input should be a number [type=x, input_value=***"
    )
    assert "text" not in scrub_error(f"input_value='{'the text ' * MAX_ERROR}', input_type=str")


@pytest.mark.parametrize("before", range(MAX_ERROR - len(TOKEN), MAX_ERROR, 7))
def test_a_secret_is_not_cut_into_one_that_nobody_knows(before):
    """Not even where what stands before it shrinks so much that the place of the cut is shown."""
    quoted = "DETAIL:  ".ljust(before - 12, "x") + "\nHINT: look "
    scrubbed = scrub_error(f"{quoted}{TOKEN} and more", scrubber([TOKEN]))
    assert scrubbed.startswith("DETAIL:  ***\nHINT: ")
    assert TOKEN[:4] not in scrubbed
