import ctypes
import re
import sys
from pathlib import Path

import pytest

from service import memory


def resident():
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs glibc")
def test_memory_in_small_pieces_goes_back_to_the_system():
    kept = [bytearray(50_000) for _ in range(4_000)]
    before = resident()
    del kept[::2], kept[:-1]
    memory.give_back()
    assert before - resident() > 150


def test_a_system_that_cannot_is_left_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(memory, "_trim", lambda: asked.append(1))
    memory.give_back()
    assert asked == [1]
