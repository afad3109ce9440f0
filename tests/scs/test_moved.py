"""Modules that have moved answer under their old names, and say where they are."""

import subprocess
import sys
from importlib import import_module

import pytest

MOVED = [
    ("scs.layers", "scs.nn.layers", "SharpenedCosineSimilarity2d"),
    ("scs.layers", "scs.nn.layers", "MaxAbsPool2d"),
    ("scs.similarity", "scs.nn.similarity", "sharpened_cosine_similarity"),
    ("scs.pooling", "scs.nn.pooling", "max_abs_pool"),
    ("scs.convolution", "lab.convolution", "correlate"),
    ("scs.kernels", "lab.named_kernels", "separate"),
    ("scs.stacks", "lab.stacks", "factor_kernel"),
    ("scs.matching.parts", "scs.matching.deformable.parts", "PartsTemplate"),
    ("scs.matching.kernels.fractal", "lab.kernels.fractal", "fractal"),
]


@pytest.mark.parametrize(("old", "new", "name"), MOVED)
def test_an_old_name_is_the_same_object_and_says_the_new_one(old, new, name):
    with pytest.warns(DeprecationWarning, match=f"{old} is now {new}; the old name goes with version 0.2") as warned:
        value = getattr(import_module(old), name)
    assert value is getattr(import_module(new), name)
    assert [each.filename for each in warned] == [__file__]


def test_an_import_as_the_readme_had_it_works_and_warns_in_the_file_that_has_it(tmp_path):
    script = tmp_path / "old.py"
    script.write_text("from scs.layers import MaxAbsPool2d, SharpenedCosineSimilarity2d\nprint(MaxAbsPool2d(2))")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert "MaxAbsPool2d()" in done.stdout
    assert "old.py:1: DeprecationWarning: scs.layers is now scs.nn.layers" in done.stderr


def test_a_name_that_never_was_is_an_error_without_a_warning():
    with pytest.raises(AttributeError, match="module 'scs.nn.pooling' has no attribute 'min_pool'"):
        import_module("scs.pooling").min_pool  # noqa: B018
