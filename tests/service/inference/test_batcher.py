import asyncio
import gc
import threading
import time
import weakref

import numpy as np
import pytest

from models.cards import catalogue
from models.cards.card import ServingCard
from scs.errors import BusyError, DeadlineError, ModelError, TooLargeError
from service.inference.batcher import Engine
from service.observability.metrics import Metrics
from service.repository.loader import LoadedModel
from service.repository.repository import ModelRepository
from service.settings import Settings

POISON = 255


class Echo:
    """A network whose logits are the first pixels of a picture, and which can be held up."""

    device = "cpu"

    def __init__(self, concurrent_runs=1):
        self.concurrent_runs = concurrent_runs
        self.go_on = threading.Event()
        self.go_on.set()
        self.begun = threading.Semaphore(0)
        self.batches, self.threads = [], []

    def logits(self, images):
        self.begun.release()
        assert self.go_on.wait(20)
        self.batches.append(images.shape)
        self.threads.append(threading.current_thread())
        if (images[:, 0, 0, 0] == POISON).any():
            raise RuntimeError("poisoned")
        return images.reshape(len(images), -1)[:, :4].astype(np.float32)


@pytest.fixture
def card():
    return catalogue.find(catalogue.bundled_repository(), "mnist-conv").card()


@pytest.fixture
def bench(card, tmp_path):
    """An engine with these settings, a model that echoes, and the metrics of it."""

    def make(serving=None, concurrent_runs=1, **settings):
        given = Settings(**settings)
        metrics = Metrics(ModelRepository(tmp_path, "cpu", "none", False))
        own = card.model_copy(update={"serving": ServingCard(**(serving or {}))})
        model = LoadedModel(own, Echo(concurrent_runs))
        return Engine(given, metrics), model, metrics.of(card.name, card.version)

    return make


def image(number, size=2):
    """A picture (1, size, size, 1) that names its request."""
    pixels = np.zeros((1, size, size, 1), np.uint8)
    pixels.reshape(-1)[:4] = [number >> 16 & 127, number >> 8 & 255, number & 255, 1]
    return pixels


def named(logits):
    ((high, middle, low, _),) = logits.astype(int).tolist()
    return high << 16 | middle << 8 | low


def later(seconds=20.0):
    return time.monotonic() + seconds


async def held(engine, model, number=0):
    """A request that is being run and does not end until the model may go on."""
    model.runtime.go_on.clear()
    first = asyncio.ensure_future(engine.logits(model, image(number), later()))
    await asyncio.to_thread(model.runtime.begun.acquire)
    return first


def test_ten_thousand_at_once_get_each_their_own_answer_in_batches_of_no_more_rows_than_allowed(bench):
    engine, model, metrics = bench(max_queue=10_000, max_batch_size=32)

    async def ask():
        return await asyncio.gather(*(engine.logits(model, image(n), later()) for n in range(10_000)))

    assert [named(answer) for answer in asyncio.run(ask())] == list(range(10_000))
    assert max(shape[0] for shape in model.runtime.batches) == 32
    assert engine.statistics(model).inference_count == 10_000
    assert metrics.waiting_rows._value.get() == 0


def test_what_arrives_while_a_batch_runs_is_the_next_batch(bench):
    engine, model, _ = bench()

    async def ask():
        first = await held(engine, model)
        others = [asyncio.ensure_future(engine.logits(model, image(n), later())) for n in range(1, 6)]
        await asyncio.sleep(0.05)
        model.runtime.go_on.set()
        return await asyncio.gather(first, *others)

    assert [named(answer) for answer in asyncio.run(ask())] == [0, 1, 2, 3, 4, 5]
    assert [shape[0] for shape in model.runtime.batches] == [1, 5]


def test_pictures_of_different_sizes_do_not_share_a_batch(bench):
    engine, model, _ = bench()

    async def ask():
        first = await held(engine, model)
        sizes = [2, 3, 2, 3, 3]
        others = [asyncio.ensure_future(engine.logits(model, image(n, size), later())) for n, size in enumerate(sizes)]
        await asyncio.sleep(0.05)
        model.runtime.go_on.set()
        return await asyncio.gather(*others), await first

    answers, _ = asyncio.run(ask())
    assert [named(answer) for answer in answers] == [0, 1, 2, 3, 4]
    assert [shape[:2] for shape in model.runtime.batches] == [(1, 2), (2, 2), (3, 3)]


def test_a_request_of_more_rows_than_a_batch_is_run_in_parts(bench):
    engine, model, _ = bench(max_batch_size=4)
    images = np.concatenate([image(n) for n in range(10)])
    answer = asyncio.run(engine.logits(model, images, later()))
    assert [named(row[None]) for row in answer] == list(range(10))
    assert [shape[0] for shape in model.runtime.batches] == [4, 4, 2]


def test_large_pictures_are_run_a_few_at_a_time(bench):
    engine, model, _ = bench()
    asyncio.run(engine.logits(model, np.zeros((6, 256, 256, 1), np.uint8), later()))
    assert [shape[0] for shape in model.runtime.batches] == [4, 2]


def test_a_poisoned_request_fails_alone(bench, caplog):
    engine, model, _ = bench()
    poisoned = np.full((1, 2, 2, 1), POISON, np.uint8)

    async def ask():
        first = await held(engine, model)
        others = [engine.logits(model, images, later()) for images in (image(1), poisoned, image(2))]
        waiting = asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.05)
        model.runtime.go_on.set()
        return await waiting, await first

    (one, wrong, two), _ = asyncio.run(ask())
    assert (named(one), named(two)) == (1, 2)
    assert isinstance(wrong, ModelError) and "could not be run on this image" in str(wrong)
    assert engine.statistics(model).fail.count == 1
    assert "poisoned" in caplog.text


def test_cancelling_most_of_a_burst_leaves_the_next_thousand_untouched_and_nothing_waiting(bench):
    engine, model, metrics = bench(max_queue=2000)

    async def ask():
        first = await held(engine, model)
        burst = [asyncio.ensure_future(engine.logits(model, image(n), later())) for n in range(1000)]
        await asyncio.sleep(0.05)
        for request in burst[:900]:
            request.cancel()
        await asyncio.sleep(0)
        assert metrics.waiting_rows._value.get() == 100
        following = [asyncio.ensure_future(engine.logits(model, image(n), later())) for n in range(1000, 2000)]
        await asyncio.sleep(0.05)
        model.runtime.go_on.set()
        await first
        assert all(
            isinstance(e, asyncio.CancelledError) for e in await asyncio.gather(*burst[:900], return_exceptions=True)
        )
        return await asyncio.gather(*burst[900:], *following)

    assert [named(answer) for answer in asyncio.run(ask())] == list(range(900, 2000))
    assert sum(shape[0] for shape in model.runtime.batches) == 1 + 100 + 1000, (
        "the work of those who had gone is not done"
    )
    assert metrics.cancelled._value.get() == 900 == engine.statistics(model).cancelled.count
    assert metrics.waiting_rows._value.get() == 0


def test_a_full_queue_refuses_at_once_and_answers_those_it_has(bench):
    engine, model, metrics = bench(max_queue=3)

    async def ask():
        first = await held(engine, model)
        waiting = [asyncio.ensure_future(engine.logits(model, image(n), later())) for n in range(1, 4)]
        await asyncio.sleep(0.05)
        with pytest.raises(BusyError, match="at most 3 images may wait for this network; 3 do") as refusal:
            await engine.logits(model, image(9), later())
        assert refusal.value.retry_after_s >= 1
        model.runtime.go_on.set()
        return await asyncio.gather(first, *waiting)

    assert [named(answer) for answer in asyncio.run(ask())] == [0, 1, 2, 3]
    assert metrics.rejected_full._value.get() == 1


def test_more_images_than_may_ever_wait_are_refused_for_good(bench):
    engine, model, _ = bench(max_queue=3)
    with pytest.raises(TooLargeError, match="4 came at once"):
        asyncio.run(engine.logits(model, np.zeros((4, 2, 2, 1), np.uint8), later()))


def test_past_the_deadline_a_request_is_given_up_and_its_work_is_not_done(bench):
    engine, model, metrics = bench()

    async def ask():
        first = await held(engine, model)
        with pytest.raises(DeadlineError, match="not begun"):
            await engine.logits(model, image(1), later(0.05))
        assert metrics.waiting_rows._value.get() == 0
        model.runtime.go_on.set()
        return await first

    asyncio.run(ask())
    assert [shape[0] for shape in model.runtime.batches] == [1]
    assert metrics.rejected_deadline._value.get() == 1


def test_a_request_whose_run_takes_too_long_is_given_up_as_well(bench):
    engine, model, _ = bench()

    async def ask():
        model.runtime.go_on.clear()
        with pytest.raises(DeadlineError, match="not ready"):
            await engine.logits(model, image(1), later(0.05))
        model.runtime.go_on.set()
        return named(await engine.logits(model, image(2), later()))

    assert asyncio.run(ask()) == 2


def test_the_event_loop_goes_on_while_a_batch_runs(bench):
    engine, model, _ = bench()

    async def ask():
        first = await held(engine, model)
        for _ in range(100):  # would not come back if the run were here
            await asyncio.sleep(0)
        assert not first.done()
        model.runtime.go_on.set()
        await first

    asyncio.run(ask())
    assert model.runtime.threads[0] is not threading.main_thread()


def test_a_short_run_for_nobody_else_is_done_where_it_is_and_one_among_others_is_not(bench):
    engine, model, _ = bench()

    async def ask():
        await engine.logits(model, image(0), later())  # shows how long a run takes
        while engine._runner(model)._awake:  # the thread has not yet gone back to sleep
            await asyncio.sleep(0.001)
        model.runtime.threads.clear()
        await engine.logits(model, image(1), later())
        assert model.runtime.threads == [threading.main_thread()]
        model.runtime.threads.clear()
        await asyncio.gather(*(engine.logits(model, image(n), later()) for n in range(8)))
        assert threading.main_thread() not in model.runtime.threads

    asyncio.run(ask())


def test_an_idle_network_waits_for_more_images_only_if_it_is_told_to(bench):
    patient, model, _ = bench(serving={"max_queue_delay_us": 200_000, "max_batch_size": 3})

    async def ask():
        requests = []
        for number in range(3):
            requests.append(asyncio.ensure_future(patient.logits(model, image(number), later())))
            await asyncio.sleep(0.02)
        return await asyncio.gather(*requests)

    assert [named(answer) for answer in asyncio.run(ask())] == [0, 1, 2]
    assert [shape[0] for shape in model.runtime.batches] == [3]


def test_a_network_that_waits_for_more_stays_sound_over_many_batches(bench):
    engine, model, metrics = bench(serving={"max_queue_delay_us": 1000, "max_batch_size": 2}, concurrent_runs=2)

    async def ask():
        for _ in range(30):
            answers = await asyncio.gather(*(engine.logits(model, image(n), later()) for n in range(7)))
            assert [named(answer) for answer in answers] == list(range(7))
            await asyncio.sleep(0.002)

    asyncio.run(ask())
    assert max(shape[0] for shape in model.runtime.batches) == 2
    assert metrics.waiting_rows._value.get() == 0
    end = time.monotonic() + 10
    while engine._runner(model)._awake and time.monotonic() < end:
        time.sleep(0.01)
    assert engine._runner(model)._awake == 0


def test_a_thread_that_had_nothing_to_do_ends_and_another_begins_when_there_is(bench, monkeypatch):
    monkeypatch.setattr("service.inference.batcher._IDLE_S", 0.005)
    engine, model, _ = bench()

    async def ask():
        for number in range(60):
            engine._runner(model)._seconds_a_pixel = 1.0  # never here, always on a thread
            assert named(await engine.logits(model, image(number), later())) == number
            await asyncio.sleep(0.0049 if number % 2 else 0.02)

    asyncio.run(ask())
    assert len(set(model.runtime.threads)) > 1


def test_what_the_card_says_wins_over_the_settings(bench):
    engine, model, _ = bench(
        serving={"max_batch_size": 2, "max_queue": 2, "timeout_s": 5.0}, max_batch_size=32, max_queue=9
    )
    assert engine.deadline(model) == pytest.approx(later(5.0), abs=1.0)
    with pytest.raises(TooLargeError, match="at most 2 images"):
        asyncio.run(engine.logits(model, np.zeros((3, 2, 2, 1), np.uint8), later()))


def test_several_threads_run_a_network_that_has_more_to_do_than_one_can(bench):
    engine, model, _ = bench(concurrent_runs=2, max_batch_size=1)

    async def ask():
        await held(engine, model)
        engine._runner(model)._seconds_a_pixel = 1.0  # a slow network
        second = asyncio.ensure_future(engine.logits(model, image(1), later()))
        await asyncio.to_thread(model.runtime.begun.acquire)  # has begun while the first is running
        model.runtime.go_on.set()
        await second

    asyncio.run(ask())
    assert len(set(model.runtime.threads)) == 2


def test_a_model_that_nobody_has_any_more_is_gone_and_so_are_its_threads(bench):
    engine, model, _ = bench()
    asyncio.run(engine.logits(model, image(1), later()))
    (thread,) = model.runtime.threads
    gone = weakref.ref(model.runtime)
    del model
    deadline = time.monotonic() + 10
    while gone() is not None and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    assert gone() is None
    thread.join(10)
    assert not thread.is_alive()


def test_statistics_count_requests_images_and_batches(bench):
    engine, model, _ = bench()

    async def ask():
        first = await held(engine, model)
        others = [asyncio.ensure_future(engine.logits(model, image(n), later())) for n in range(3)]
        await asyncio.sleep(0.05)
        model.runtime.go_on.set()
        await asyncio.gather(first, *others)

    asyncio.run(ask())
    counts = engine.statistics(model)
    assert (counts.success.count, counts.inference_count, counts.execution_count) == (4, 4, 2)
    assert {rows: each.count for rows, each in counts.batches.items()} == {1: 1, 3: 1}
    assert counts.queue.ns > 0 and counts.inference.count == 4
    assert counts.last_inference_ms == pytest.approx(time.time() * 1000, abs=60_000)
