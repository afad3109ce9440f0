import os
import sys
import threading

import pytest

from service.workers import thread_priority
from service.workers.thread_priority import give_way, keep_priority


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities for threads")
def test_a_thread_that_gives_way_is_nicer_than_the_one_that_does_not_and_so_are_its_threads():
    niceness = {}

    def note(name):
        niceness[name] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def work():
        give_way()
        note("worker")
        inner = threading.Thread(target=note, args=("inner",))
        inner.start()
        inner.join()

    note("before")
    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    note("after")
    assert niceness["after"] == niceness["before"] < niceness["worker"] == niceness["inner"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities for threads")
def test_a_thread_of_a_service_that_is_nice_enough_already_goes_as_far_as_it_can(monkeypatch):
    asked = []
    monkeypatch.setattr(os, "getpriority", lambda *_: 17)
    monkeypatch.setattr(os, "setpriority", lambda which, who, niceness: asked.append(niceness))
    give_way()
    assert asked == [19]


def test_a_process_of_a_command_keeps_its_priority(monkeypatch):
    monkeypatch.setattr(thread_priority, "_keeps", False)
    monkeypatch.setattr(os, "setpriority", lambda *_: pytest.fail("it gave way"))
    keep_priority()
    give_way()
