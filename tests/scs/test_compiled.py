import numba
import numpy as np

from scs.compiled import compiled


def test_a_compiled_loop_gives_what_python_gives():
    def total(values):
        summed = 0.0
        for value in values:
            summed += value
        return summed

    values = np.arange(100.0)
    assert compiled(total)(values) == total(values)


def test_where_nothing_may_be_written_loops_are_compiled_all_the_same(monkeypatch):
    njit = numba.njit

    def nowhere(*arguments, cache=False, **options):
        def decorate(loop):
            if cache:
                raise RuntimeError("cannot cache function: no locator available")
            return njit(*arguments, **options)(loop)

        return decorate

    monkeypatch.setattr(numba, "njit", nowhere)
    assert compiled(lambda value: value + 1)(2) == 3
