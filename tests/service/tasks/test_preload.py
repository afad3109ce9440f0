"""What the nursery of worker processes loads, and what it does without."""

import importlib.util
import subprocess
import sys

import pytest


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_matching_is_made_ready_without_what_its_compiler_imports_for_nothing():
    code = (
        "import sys, service.tasks.preload as preload\n"
        "preload.import_all()\n"
        "preload.warm_matching(); print(*sys.modules)"
    )
    packages = {name.partition(".")[0] for name in run(code).split()}
    assert {"numba", "cv2"} <= packages
    assert not {"scipy", "coverage", "unittest", "torch", "matplotlib"} & packages


@pytest.mark.skipif(importlib.util.find_spec("scipy") is None, reason="needs scipy")
def test_what_was_hidden_from_the_compiler_can_be_imported_afterwards():
    code = (
        "from service.tasks.preload import _hidden\n"
        "with _hidden(('scipy', 'sys')):\n"
        "    import sys\n"  # was imported before
        "    try: import scipy\n"
        "    except ImportError: print('hidden')\n"
        "import scipy; print(scipy.__name__)"
    )
    assert run(code).split() == ["hidden", "scipy"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_the_nursery_keeps_no_code_mapped_once_it_is_prepared():
    code = (
        "import re\n"
        "from service.workers import nursery\n"
        "mapped = []\n"
        "def look(): mapped.append(int(re.search(r'RssFile:\\s+(\\d+)', open('/proc/self/status').read())[1]))\n"
        "def step(): import onnxruntime, numpy; look()\n"
        "nursery._prepare(step); look(); print(mapped[1] / mapped[0])"
    )
    assert float(run(code)) < 0.75
