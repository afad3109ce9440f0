"""In a container of 2 GiB the worst legal requests, ten at once, kill nothing."""

import contextlib
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
LIMIT = 2 * 2**30
CLIENTS = 10
ALLOWED = {200, 413, 415, 422, 503, 504}  # the text in JSON is no picture


def memory_group():
    """A new control group of 2 GiB: its folder, and the name of the file that counts kills."""
    name = f"scs-test-{os.getpid()}"
    folder, limit, kills = Path("/sys/fs/cgroup") / name, "memory.max", "memory.events"
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):  # version 1
            folder = Path("/sys/fs/cgroup/memory") / path.lstrip("/") / name
            limit, kills = "memory.limit_in_bytes", "memory.oom_control"
    try:
        folder.mkdir()
        (folder / limit).write_text(str(LIMIT))
    except OSError as error:
        with contextlib.suppress(OSError):
            folder.rmdir()
        pytest.skip(f"needs the right to make a control group for memory: {error.strerror}")
    return folder, folder / kills


@pytest.fixture
def in_group():
    """Enter processes into a group of 2 GiB; after the test none of them may have been killed for want of memory."""
    folder, kills = memory_group()
    try:
        yield folder / "cgroup.procs"
        counts = dict(line.split() for line in kills.read_text().splitlines())
        assert int(counts.get("oom_kill", 0)) == 0
    finally:
        for _ in range(100):
            with contextlib.suppress(OSError):
                folder.rmdir()
                break
            time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs control groups, which Linux has")
def test_ten_of_the_worst_at_once_kill_nothing_and_the_next_small_request_is_answered(in_group, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(BENCH)
    import worst
    from servers import Server

    command = ["sh", "-c", f"echo $$ > {in_group} && exec {sys.executable} -m service.cli serve"]
    environment = {**worst.SETTINGS, "SCS_PORT": worst.PORT, "PYTHONPATH": BENCH.parent}
    server = Server("limited", command, worst.PORT, environment, BENCH.parent)
    calls, small = worst.requests()
    server.start(tmp_path / "log")
    try:
        server.wait_for(small)
        process = server.process.pid
        for name, call in calls.items():
            statuses = []
            threads = [threading.Thread(target=worst.answered, args=(call, server, statuses)) for _ in range(CLIENTS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(statuses) == CLIENTS and set(statuses) <= ALLOWED, f"{name}: {Counter(statuses)}"
            assert small.send(server.port)[0] == 200, name
            assert server.process.poll() is None and server.process.pid == process
    finally:
        server.stop()
