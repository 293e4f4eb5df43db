"""Lines that strangers cause stay few."""

from receiver.telemetry.rate_limit import LogRateLimiter


def test_what_was_left_out_is_counted_with_the_next_line():
    limit = LogRateLimiter(2)
    assert [limit.admit("x", 10.0 + number / 10) for number in range(5)] == [0, 0, None, None, None]
    assert limit.admit("y", 10.5) == 0
    assert limit.admit("x", 11.1) == 3
    assert limit.admit("x", 12.5) == 0
