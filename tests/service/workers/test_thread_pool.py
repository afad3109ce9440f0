import asyncio
import threading
import time

import pytest

from scs.errors import BusyError, DeadlineError
from service.observability.metrics import Metrics
from service.workers.thread_pool import ThreadPool


@pytest.fixture
def metrics(tmp_path):
    return Metrics().pool("heavy")


@pytest.fixture
def jobs(metrics):
    jobs = ThreadPool("matches", threads=1, most_waiting=2, metrics=metrics)
    yield jobs
    jobs.close()


def later(seconds=20.0):
    return time.monotonic() + seconds


class Hold:
    """Work that says when it has begun and goes on when it may."""

    def __init__(self):
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self):
        self.begun.set()
        assert self.go_on.wait(20)
        return "held"


async def held(jobs):
    hold = Hold()
    first = asyncio.ensure_future(jobs.run(later(), hold))
    await asyncio.to_thread(hold.begun.wait)
    return hold, first


def waiting(metrics):
    return metrics.waiting._value.get()


def test_work_is_done_on_a_thread_and_its_arguments_are_passed_on(jobs):
    async def ask():
        return await jobs.run(later(), lambda x, *, y: (x, y, threading.current_thread()), 1, y=2)

    x, y, thread = asyncio.run(ask())
    assert (x, y) == (1, 2) and thread is not threading.main_thread()


def test_what_work_raises_is_raised(jobs):
    def wrong():
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        asyncio.run(jobs.run(later(), wrong))


def test_when_as_many_wait_as_may_one_more_is_refused_at_once(jobs, metrics):
    async def ask():
        hold, first = await held(jobs)
        others = [asyncio.ensure_future(jobs.run(later(), lambda i=i: i)) for i in range(2)]
        await asyncio.sleep(0)
        assert waiting(metrics) == 2
        with pytest.raises(BusyError, match="at most 3 matches may be at work or wait, and as many are"):
            await jobs.run(later(), print)
        hold.go_on.set()
        return await asyncio.gather(first, *others)

    assert asyncio.run(ask()) == ["held", 0, 1]
    assert waiting(metrics) == 0 and metrics.rejected_full._value.get() == 1


def test_work_that_has_not_begun_by_its_deadline_is_not_done(jobs, metrics):
    done = []

    async def ask():
        hold, first = await held(jobs)
        with pytest.raises(DeadlineError, match="not begun"):
            await jobs.run(later(0.05), done.append, 1)
        hold.go_on.set()
        await first
        await jobs.run(later(), done.append, 2)

    asyncio.run(ask())
    assert done == [2]
    assert waiting(metrics) == 0 and metrics.rejected_deadline._value.get() == 1


def test_work_that_is_too_slow_is_given_up_and_keeps_its_thread_until_it_ends(jobs):
    async def ask():
        hold = Hold()
        with pytest.raises(DeadlineError, match="not ready"):
            await jobs.run(later(0.05), hold)
        following = asyncio.ensure_future(jobs.run(later(), lambda: "next"))
        await asyncio.sleep(0.05)
        assert not following.done()
        hold.go_on.set()
        return await following

    assert asyncio.run(ask()) == "next"


def test_whoever_goes_while_waiting_takes_the_work_along(jobs, metrics):
    done = []

    async def ask():
        hold, first = await held(jobs)
        gone = asyncio.ensure_future(jobs.run(later(), done.append, 1))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert waiting(metrics) == 0
        room = [asyncio.ensure_future(jobs.run(later(), done.append, i)) for i in (2, 3)]
        hold.go_on.set()
        await asyncio.gather(first, *room)

    asyncio.run(ask())
    assert done == [2, 3]
    assert metrics.cancelled._value.get() == 1
