"""Requests are refused before they are read where all wait too long, and not because many came at once."""

from service.inference.shedder import Shedder


def most_admitted(shedder):
    """How many are admitted at once, up to 10,000."""
    before, count = shedder.in_progress, 0
    while shedder.admits(now=0.0) and count < 10_000:
        shedder.in_progress += 1
        count += 1
    shedder.in_progress = before
    return count


def pass_intervals(shedder, numbers, waits):
    for number in numbers:
        for wait in waits:
            shedder.began(wait, now=number + 0.01)
        shedder.began(waits[-1], now=number + 0.5)


def test_the_limit_falls_while_each_request_waits_too_long():
    shedder = Shedder()
    first = shedder.in_progress = most_admitted(shedder)
    pass_intervals(shedder, range(1, 10), [0.5, 0.3, 0.4])
    shedder.in_progress = 0
    assert most_admitted(shedder) == 64 < first


def test_one_request_that_was_begun_at_once_shows_that_no_queue_stands():
    shedder = Shedder()
    first = most_admitted(shedder)
    for number in range(1, 8):
        shedder.began(0.001, now=number + 0.01)
        shedder.began(0.001, now=number + 0.02)
        shedder.began(0.9, now=number + 0.5)
    assert most_admitted(shedder) >= first


def test_the_limit_rises_again_where_requests_are_refused_and_none_waits():
    shedder = Shedder()
    shedder.in_progress = 256
    pass_intervals(shedder, range(1, 8), [0.5])
    shedder.in_progress = 0
    low = most_admitted(shedder)
    for number in range(8, 12):
        most_admitted(shedder)
        pass_intervals(shedder, [number], [0.0])
    assert most_admitted(shedder) > low


def test_connections_rest_longer_while_refusals_are_many():
    shedder = Shedder()
    shedder.in_progress = 1000
    pass_intervals(shedder, [1], [0.5])
    for number in range(2, 5):
        for _ in range(10):
            assert not shedder.admits(now=0.0)
        shedder.began(0.0, now=float(number))
    shedder.in_progress = 0
    assert shedder.pause_s == 8.0
    pass_intervals(shedder, [4], [0.0] * 100)
    assert 7.0 < shedder.pause_s < 8.0, "who rests would come back at once"
    pass_intervals(shedder, range(5, 80), [0.0] * 100)
    assert shedder.pause_s == 1.0


def test_a_connection_rests_for_as_long_as_the_pause_is_by_now_or_until_there_is_room():
    shedder = Shedder()
    shedder.in_progress = 1000
    pass_intervals(shedder, range(1, 5), [0.5])
    shedder.in_progress = most_admitted(shedder) or 1000
    assert not shedder.has_rested(0.9) and shedder.has_rested(1.0)
    for _ in range(10):
        assert not shedder.admits(now=0.0)
    shedder.began(0.0, now=5.0)
    shedder.began(0.0, now=6.0)
    assert not shedder.has_rested(1.0) and shedder.has_rested(2.0)
    shedder.in_progress = 10
    assert shedder.has_rested(0.1)


def test_requests_that_wait_for_a_slow_network_keep_none_of_another_away():
    shedder = Shedder()
    shedder.in_progress = 2000
    pass_intervals(shedder, range(1, 10), [0.5])
    assert not shedder.admits(now=9.0)
    assert any(shedder.admits(now=10.0 + second) for second in range(10)), "none begins, and the event loop is idle"


def test_there_is_no_limit_until_requests_wait():
    shedder = Shedder()
    shedder.in_progress = 100_000
    shedder.began(0.0, now=1.0)
    assert shedder.admits(now=1.0)
