import gc
import os
import weakref
from pathlib import Path

import numpy as np
import pytest

from models.cards.catalogue import bundled_repository, find
from models.runtime import onnx_session
from models.runtime.onnx_session import OnnxModel
from models.runtime.wide_sessions import WideSession, WideSessionCache, most_sessions


class Session:
    pass


def wide(cache, threads=64):
    return WideSession(cache, Session, threads)


def test_a_session_stays_open_while_few_are_used():
    cache = WideSessionCache()
    one, other = wide(cache), wide(cache)
    first = one.get()
    other.get()
    assert one.get() is first


def test_the_session_that_was_used_longest_ago_is_closed_and_opened_again():
    cache = WideSessionCache()
    sessions = [wide(cache) for _ in range(most_sessions(64) + 1)]
    first, second, *_ = [session.get() for session in sessions]
    assert sessions[1].get() is second  # the first is the one that was closed
    assert sessions[0].get() is not first


def test_a_session_that_is_not_needed_yet_closes_no_other():
    cache = WideSessionCache()
    sessions = [wide(cache) for _ in range(most_sessions(64) + 3)]
    opened = []
    for session in sessions:
        session.open_if_room()
        opened.append(session._session is not None)
    assert opened == [True] * most_sessions(64) + [False] * 3


def test_a_session_of_one_thread_is_never_closed():
    cache = WideSessionCache()
    sessions = [wide(cache, threads=1) for _ in range(100)]
    first = sessions[0].get()
    for session in sessions:
        session.get()
    assert sessions[0].get() is first


def test_a_session_that_is_gone_leaves_its_room():
    cache = WideSessionCache()
    sessions = [wide(cache) for _ in range(most_sessions(64))]
    for session in sessions:
        session.get()
    assert not cache.has_room(64)
    sessions.clear()
    del session
    assert cache.has_room(64)


@pytest.mark.parametrize(("threads", "most"), [(1, 16), (2, 16), (16, 16), (17, 16), (64, 4), (1000, 4)])
def test_more_threads_a_session_are_fewer_sessions(threads, most):
    assert most_sessions(threads) == most


@pytest.fixture
def four_cores(monkeypatch):
    monkeypatch.setattr(onnx_session, "usable_cores", lambda: 4)
    monkeypatch.setattr(onnx_session, "_wide_sessions", WideSessionCache())


def open_model() -> OnnxModel:
    entry = find(bundled_repository(), "mnist-conv")
    return OnnxModel(entry.verified_bytes(), entry.card(), "cpu")


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")
def test_forty_models_have_no_more_threads_than_the_sessions_that_are_kept(four_cores):
    before = len(os.listdir("/proc/self/task"))
    models = [open_model() for _ in range(40)]
    images = np.random.default_rng(0).integers(0, 256, (1, 300, 300, 1), dtype=np.uint8)
    answers = [model.logits(images) for model in models]
    assert len(os.listdir("/proc/self/task")) - before <= most_sessions(4) * 3
    assert all(np.array_equal(answer, answers[0]) for answer in answers)
    assert "logits" in models[0].layers(images, [])


def test_a_model_that_nobody_holds_is_freed_without_a_search_for_cycles(four_cores):
    gc.disable()
    try:
        model = open_model()
        gone = weakref.ref(model)
        del model
        assert gone() is None
    finally:
        gc.enable()
