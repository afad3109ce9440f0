"""Work that is given up ends at once, and costs nobody else anything."""

import asyncio
import math
import os
import signal
import socket
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from scs.errors import BusyError, DeadlineError, OptionError, TooLargeError, WorkerLostError
from service.observability.metrics import Metrics
from service.workers.borrowing import BorrowingPool
from service.workers.job import UnforeseenError
from service.workers.lending import Lender, PoolSize
from service.workers.pool import WorkerPool
from tests.service.workers import chores

_LONG_S = 60.0


def soon(seconds=_LONG_S):
    return time.monotonic() + seconds


async def gone(process):
    while chores.is_alive(process):
        await asyncio.sleep(0.01)


@asynccontextmanager
async def own(workers, waiting, series):
    """A pool of this process."""
    pool = WorkerPool("jobs", workers, waiting, series, 400 * 2**20)
    try:
        yield pool
    finally:
        pool.close()


@asynccontextmanager
async def lent(workers, waiting, series):
    """A pool that is lent, here by the same process."""
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/lender")
        listener.listen()
        lending = asyncio.create_task(Lender(listener, {"jobs": PoolSize("jobs", workers, waiting)}).serve())
        pool = BorrowingPool(Path(folder, "lender"), "jobs", workers, series, 400 * 2**20)
        try:
            yield pool
        finally:
            pool.close()
            lending.cancel()
            await asyncio.wait([lending])


@pytest.fixture(params=[own, lent])
def in_pool(request):
    """Run a test's coroutine with a pool of one worker, eight of whose jobs may wait, and 400 MiB."""

    def run(test, workers=1, waiting=8):
        metrics = Metrics()

        async def with_pool():
            async with request.param(workers, waiting, metrics.pool("jobs")) as pool, asyncio.timeout(_LONG_S):
                return await test(pool)

        value = asyncio.run(with_pool())
        text = metrics.exposition("")[0].decode()
        assert 'scs_waiting_jobs{kind="jobs"} 0.0' in text
        return value, text

    return run


def test_a_result_comes_from_another_process_and_the_next_from_the_same(in_pool):
    async def test(pool):
        return [await pool.run(soon(), chores.process) for _ in range(3)]

    (first, *others), _ = in_pool(test)
    assert first != os.getpid() and set(others) == {first}


def test_a_worker_that_was_killed_while_it_was_idle_fails_nobody(in_pool):
    async def test(pool):
        first = await pool.run(soon(), chores.process)
        os.kill(first, signal.SIGKILL)
        await gone(first)
        return first, await pool.run(soon(), chores.process)

    (first, second), _ = in_pool(test)
    assert second not in (first, os.getpid())


@pytest.mark.skipif(sys.platform != "linux", reason="needs priorities of processes: Linux")
def test_work_gives_way_to_the_event_loop(in_pool):
    async def test(pool):
        return await pool.run(soon(), os.getpriority, os.PRIO_PROCESS, 0)

    priority, _ = in_pool(test)
    assert priority > os.getpriority(os.PRIO_PROCESS, 0)


def test_large_results_arrive_whole(in_pool):
    async def test(pool):
        return await pool.run(math.inf, chores.large)

    (text, numbers), _ = in_pool(test)
    assert bytes(text) == b"x" * 10**6
    np.testing.assert_array_equal(numbers, np.arange(10**6))


@pytest.mark.parametrize("work", [chores.spin, chores.hold_the_lock])
def test_past_its_deadline_work_ends_at_once_and_the_next_finds_a_worker(in_pool, work):
    async def test(pool):
        worker = await pool.run(soon(), chores.process)
        with pytest.raises(DeadlineError, match="not ready"):
            await pool.run(soon(0.2), work)
        await gone(worker)
        assert await pool.run(soon(), chores.echo, 5) == 5

    _, text = in_pool(test)
    assert 'scs_rejected_jobs_total{kind="jobs",reason="deadline"} 1.0' in text


def test_work_whose_caller_has_gone_ends_at_once(in_pool):
    async def test(pool):
        worker = await pool.run(soon(), chores.process)
        asking = asyncio.create_task(pool.run(soon(), chores.spin))
        await asyncio.sleep(0.1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await gone(worker)
        assert await pool.run(soon(), chores.echo, 5) == 5

    _, text = in_pool(test)
    assert 'scs_cancelled_jobs_total{kind="jobs"} 1.0' in text


def test_work_that_was_given_up_while_it_waited_is_never_begun(in_pool, tmp_path):
    async def test(pool):
        running = asyncio.create_task(pool.run(soon(), chores.sleep_and_write, str(tmp_path / "a"), 0.3))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(pool.run(soon(), chores.sleep_and_write, str(tmp_path / "b"), 0))
        with pytest.raises(DeadlineError, match="not begun"):
            await pool.run(soon(0.05), chores.sleep_and_write, str(tmp_path / "c"), 0)
        waiting.cancel()
        await running
        await pool.run(soon(), chores.echo, 0)

    in_pool(test)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("work", "error", "message"),
    [
        (chores.refuse, OptionError, "this was needed; that came"),
        (chores.mistake, UnforeseenError, "KeyError: 'nothing'"),
        (chores.not_to_be_sent, UnforeseenError, "cannot be sent"),
        (chores.eat, TooLargeError, "needs more memory than the 400 MiB"),
        (chores.abort, WorkerLostError, "ended before it was done"),
        (chores.die, WorkerLostError, "ended before it was done"),
    ],
)
def test_what_goes_wrong_is_said_and_the_next_work_is_done(in_pool, work, error, message):
    async def test(pool):
        with pytest.raises(error, match=message):
            await pool.run(soon(), work)
        assert await pool.run(soon(), chores.echo, "next") == "next"

    in_pool(test)


def test_of_many_at_once_each_gets_its_own_answer_while_others_are_killed(in_pool):
    async def test(pool):
        echoes = [pool.run(soon(), chores.echo, np.full(20_000, number)) for number in range(40)]
        killed = [pool.run(soon(0.5), chores.spin) for _ in range(4)]
        answers = await asyncio.gather(*echoes, *killed, return_exceptions=True)
        assert [int(answer[0]) for answer in answers[:40]] == list(range(40))
        assert all(isinstance(answer, DeadlineError) for answer in answers[40:])

    in_pool(test, workers=3, waiting=100)


def test_a_full_queue_is_shared_by_client(in_pool):
    async def test(pool):
        greedy = [asyncio.create_task(pool.run_for("greedy", soon(), chores.echo, number)) for number in range(5)]
        await asyncio.sleep(0)
        other = asyncio.create_task(pool.run_for("other", soon(), chores.echo, "mine"))
        return await asyncio.gather(*greedy, other, return_exceptions=True)

    answers, text = in_pool(test, waiting=2)
    assert answers[-1] == "mine"
    assert sum(isinstance(answer, BusyError) for answer in answers) == 3
    assert 'scs_rejected_jobs_total{kind="jobs",reason="queue_full"} 3.0' in text


def test_a_nursery_that_was_killed_is_started_anew():
    from service.workers.nursery import NURSERY
    from service.workers.worker import run_once

    before = run_once(_LONG_S, None, chores.process)
    killed = NURSERY.pid
    os.kill(killed, 9)
    assert run_once(_LONG_S, None, chores.process) != before
    assert NURSERY.pid != killed


def test_closing_a_pool_leaves_no_process(in_pool):
    async def test(pool):
        return await pool.run(soon(), chores.process)

    worker, _ = in_pool(test)
    asyncio.run(asyncio.wait_for(gone(worker), _LONG_S))
    assert not chores.is_alive(worker)
