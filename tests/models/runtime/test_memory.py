import ctypes
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.runtime import memory


def resident():
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs glibc")
def test_memory_in_small_pieces_goes_back_to_the_system():
    kept = [bytearray(50_000) for _ in range(4_000)]
    before = resident()
    del kept[::2], kept[:-1]
    memory.trim_heap()
    assert before - resident() > 150


def test_a_system_that_cannot_is_left_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(memory, "_trim", lambda: asked.append(1))
    memory.trim_heap()
    assert asked == [1]


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_the_pages_of_a_large_array_go_back_before_it_is_freed():
    array = np.ones((64, 2**20), np.float32)
    before = resident()
    memory.release(array)
    assert before - resident() > 200
    assert not array[1:-1].any()


def test_what_is_small_or_not_in_one_piece_is_left_as_it_is(monkeypatch):
    small, pieces = np.ones(1000), np.ones((2**12, 2**10), np.float32)[:, ::2]
    for array in (small, pieces):
        memory.release(array)
        assert array.all()
    monkeypatch.setattr(memory, "_madvise", lambda: None)
    large = np.ones(2**20)
    memory.release(large)
    assert large.all()


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_code_goes_back_to_the_system_and_still_runs():
    code = (
        "import re, onnxruntime, numpy\n"
        "from models.runtime.memory import release_code\n"
        "def mapped(): return int(re.search(r'RssFile:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
        "before = mapped(); release_code(); after = mapped()\n"
        "assert numpy.linalg.det(numpy.eye(3)) == 1\n"
        "print(after / before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.75
