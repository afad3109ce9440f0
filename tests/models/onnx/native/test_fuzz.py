"""The native ops make no fault of memory or arithmetic, whatever a model file asks of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.onnx.native.build import BuildError, build, compiler, sanitizers

FUZZ = Path(__file__).with_name("fuzz.py")
LAYERS = 400


def fuzz(library, seed, layers, **variables):
    command = [sys.executable, str(FUZZ), str(library), str(seed), str(layers)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **variables})
    assert done.returncode == 0, done.stderr[-4000:]
    return int(done.stdout)


def test_layers_that_make_no_sense_are_refused_and_others_answer(native_library):
    assert 20 < fuzz(native_library, 0, 100) < 90


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_layer_makes_a_fault_of_memory_or_arithmetic(tmp_path):
    try:
        compiler()
    except BuildError as error:
        pytest.skip(str(error))
    checkers = sanitizers()
    if not checkers:
        pytest.skip("needs a compiler with the address sanitizer")
    library = tmp_path / "libscs.so"
    build(library, checked=True)
    checks = {
        "LD_PRELOAD": " ".join(map(str, checkers)),
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    for seed in (1, 2):
        assert fuzz(library, seed, LAYERS, **checks) > LAYERS / 5
