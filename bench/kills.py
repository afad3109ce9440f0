"""What becomes of the rest when one of two workers is killed: in this project's pool, pebble, loky and Python's own.

Twenty times a pool: one worker sleeps for two seconds, the other is killed. Counted are the answers of the
first that are lost; timed is the next piece of work, from the kill to its answer. A pool that breaks is made anew.

Prints a table and writes bench/results/kills.json. Needs `pip install pebble loky`.

    PYTHONPATH=. python bench/kills.py
"""

import asyncio
import json
import multiprocessing
import os
import signal
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

import loky
import pebble

from service.observability.metrics import Metrics
from service.workers.pool import WorkerPool

RESULTS = Path(__file__).parent / "results" / "kills.json"
KILLS = 20
WORKERS = 2
OTHER_S = 2.0
LONG_S = 60.0


def square(number):
    return number * number


def sleep(seconds):
    time.sleep(seconds)


def sleep_named(path):
    path.with_suffix(".new").write_text(str(os.getpid()))
    path.with_suffix(".new").rename(path)
    time.sleep(LONG_S)


class Ours:
    def __init__(self):
        self._pool = WorkerPool("kills", WORKERS, 64, Metrics().pool("heavy"))

    def submit(self, work, *args):
        return asyncio.create_task(self._pool.run(time.monotonic() + LONG_S, work, *args))


class Pebble:
    def __init__(self):
        self._pool = pebble.ProcessPool(WORKERS, context=multiprocessing.get_context("forkserver"))

    def submit(self, work, *args):
        return asyncio.wrap_future(self._pool.schedule(work, args=args))


class Loky:
    def submit(self, work, *args):
        return asyncio.wrap_future(loky.get_reusable_executor(WORKERS).submit(work, *args))


class Standard:
    def __init__(self):
        self._pool = self._new()

    def submit(self, work, *args):
        try:
            return asyncio.wrap_future(self._pool.submit(work, *args))
        except Exception:  # it is broken
            self._pool = self._new()
            return asyncio.wrap_future(self._pool.submit(work, *args))

    def _new(self):
        return ProcessPoolExecutor(WORKERS, multiprocessing.get_context("forkserver"))


async def has_failed(work):
    try:
        await work
    except (Exception, asyncio.CancelledError):  # each library has its own
        return True
    return False


async def kill_one(pool, folder, number):
    """Whether the other worker's answer was lost, and the seconds until the next answer."""
    path = Path(folder) / str(number)
    other, killed = pool.submit(sleep, OTHER_S), pool.submit(sleep_named, path)
    while not path.exists():
        await asyncio.sleep(0.001)
    started = time.perf_counter()
    os.kill(int(path.read_text()), signal.SIGKILL)
    assert await has_failed(killed)
    while await has_failed(pool.submit(square, 3)):
        pass
    seconds = time.perf_counter() - started
    return await has_failed(other), seconds


async def measure(pool):
    await asyncio.gather(*[pool.submit(sleep, 0.1) for _ in range(WORKERS)])  # warm
    with tempfile.TemporaryDirectory() as folder:
        turns = [await kill_one(pool, folder, number) for number in range(KILLS)]
    seconds = [each for _, each in turns]
    lost = sum(is_lost for is_lost, _ in turns)
    return {"kills": KILLS, "lost": lost, "median_s": statistics.median(seconds), "worst_s": max(seconds)}


def main():
    rows = {pool.__name__: asyncio.run(measure(pool())) for pool in (Ours, Pebble, Loky, Standard)}
    for name, row in rows.items():
        print(f"{name:9} lost {row['lost']:2} of {KILLS}, next after {row['median_s'] * 1e3:.0f} ms", end="")
        print(f", {row['worst_s'] * 1e3:.0f} at worst")
    versions = {name: version(name) for name in ("pebble", "loky")}
    RESULTS.write_text(json.dumps({"cores": os.cpu_count(), "versions": versions, "pools": rows}, indent=1) + "\n")


if __name__ == "__main__":
    import kills  # by a name that worker processes find, too

    kills.main()
