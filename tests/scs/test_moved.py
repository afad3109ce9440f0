"""Old names of what has moved work, and say where it is."""

from importlib import import_module

import pytest


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("scs.convolution", "lab.convolution", "correlate"),
        ("scs.kernels", "lab.kernels.named", "separate"),
        ("scs.stacks", "lab.stacks", "factor_kernel"),
        ("scs.tiles", "lab.tiles", "tiled"),
    ],
)
def test_an_old_name_is_the_new_one_and_the_caller_is_warned(old, new, name):
    with pytest.warns(DeprecationWarning, match=f"{old}.{name} is {new}.{name} now") as warned:
        found = getattr(import_module(old), name)
    assert found is getattr(import_module(new), name)
    assert warned[0].filename == __file__


def test_a_name_that_never_was_is_not_there():
    with pytest.raises(ImportError, match="cannot import name 'walk'"):
        exec("from scs.tiles import walk")
