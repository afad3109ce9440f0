"""Sums of squares over channels have the values and the gradient of their definition, by loops and by torch."""

import pytest
import torch

from scs.nn.channels_last import loops_serve
from scs.nn.squares import UNIT, sum_squares


@pytest.mark.parametrize("size", [(2, 3, 5, 7), (1, 64, 4, 4), (3, 1, 2, 2), (0, 4, 3, 3), (2, 5, 9)])
def test_they_are_the_sums_of_squares_and_the_gradient_is_twice_the_value(size):
    x = torch.randn(size, generator=torch.Generator().manual_seed(0))
    weights = torch.randn((size[0], 1, *size[2:]), generator=torch.Generator().manual_seed(1))
    by_loops = x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
    assert loops_serve(by_loops) == (x.ndim == 4)
    by_loops.requires_grad_()
    sums = sum_squares(by_loops)
    (sums * weights).sum().backward()
    torch.testing.assert_close(sums * UNIT**2, (x * x).sum(1, keepdim=True))
    torch.testing.assert_close(by_loops.grad * UNIT**2, 2 * x * weights)
