"""Max-abs pooling keeps the strongest of a window, by loops as by torch, and hands it the gradient."""

import pytest
import torch

from scs.nn.channels_last import loops_serve
from scs.nn.pooling import max_abs_pool
from scs.nn.sharpening import sharpen_cosines


def draw(*size):
    return torch.randn(size, generator=torch.Generator().manual_seed(0))


def channels_last(x):
    return x.contiguous(memory_format=torch.channels_last)


def test_the_strongest_of_a_window_is_kept_with_its_sign_and_of_opposites_the_positive():
    x = torch.tensor([[[[1.0, -3.0, 2.0, 0.0], [2.0, 0.5, -2.0, 1.0]]]])
    assert max_abs_pool(x, 2).flatten().tolist() == [-3, 2]
    assert max_abs_pool(x[:, :, 0], 2).flatten().tolist() == [-3, 2]


@pytest.mark.parametrize("size", [(2, 3, 8, 6), (1, 5, 7, 9), (3, 1, 2, 2), (0, 4, 6, 6)])
def test_loops_give_what_torch_gives_and_the_same_gradient(size):
    by_loops, by_torch = channels_last(draw(*size)).requires_grad_(), draw(*size).requires_grad_()
    assert loops_serve(by_loops)
    came, wanted = max_abs_pool(by_loops, 2), max_abs_pool(by_torch.double(), 2).float()
    assert torch.equal(came, wanted)
    weights = draw(*wanted.shape)
    (came * weights).sum().backward()
    (wanted * weights).sum().backward()
    assert torch.equal(by_loops.grad, by_torch.grad)


def test_opposites_and_nan_go_through_loops_as_through_torch():
    x = torch.tensor([[[[-2.0, 2.0, 1.0, torch.nan], [0.0, 1.0, -4.0, 2.0]]]]).repeat(1, 2, 1, 1)
    assert max_abs_pool(channels_last(x), 2).isnan().tolist() == max_abs_pool(x.double(), 2).isnan().tolist()
    assert max_abs_pool(channels_last(x), 2)[0, 0, 0, 0] == 2


def test_pooling_before_the_sharpening_gives_what_pooling_after_it_gives():
    cosines, p = draw(2, 3, 8, 8) / 4, torch.tensor([0.2, 1.0, 2.5])
    one = torch.ones(2, 1, 8, 8)
    after = max_abs_pool(sharpen_cosines(cosines, one, p, 1e-6), 2)
    assert torch.equal(after, sharpen_cosines(max_abs_pool(cosines, 2), one[..., :4, :4], p, 1e-6))
