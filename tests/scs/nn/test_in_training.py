"""The layers do in other people's training what a convolution would: second derivatives, transforms, types, files."""

import copy
import io
import pickle
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.ao.quantization import fuse_modules
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, vmap
from torch.nn.utils.fusion import fuse_conv_bn_eval

from scs.errors import DtypeError, OptionError, ShapeError
from scs.nn.layers import (
    MaxAbsPool2d,
    SharpenedCosineSimilarity1d,
    SharpenedCosineSimilarity2d,
    SharpenedCosineSimilarity3d,
)
from scs.nn.similarity import sharpened_cosine_similarity

LAYERS = {1: SharpenedCosineSimilarity1d, 2: SharpenedCosineSimilarity2d, 3: SharpenedCosineSimilarity3d}


def channels_last(x):
    return x.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "axes, options",
    [
        (1, {"stride": 2, "padding": 1}),
        (2, {"groups": 2, "padding": "same", "padding_mode": "reflect", "bias": True}),
        (2, {"dilation": 2, "padding": 2, "gain": True}),
        (3, {"padding_mode": "replicate", "padding": 1, "stride": 2, "p": 0.7}),
        (2, {"groups": 2, "shared_weights": True, "mute_kernels": False, "q": 0}),
    ],
)
def test_first_and_second_derivatives_are_those_of_finite_differences(axes, options):
    torch.manual_seed(0)
    layer = LAYERS[axes](2, 2, 2, dtype=torch.float64, **options)
    x = torch.randn(1, 2, *[3] * axes, dtype=torch.float64, requires_grad=True)
    names, values = zip(*((n, p.detach().requires_grad_()) for n, p in layer.named_parameters()), strict=True)
    run = lambda x, *values: functional_call(layer, dict(zip(names, values, strict=True)), (x,))  # noqa: E731
    assert torch.autograd.gradcheck(run, (x, *values))
    assert torch.autograd.gradgradcheck(run, (x, *values))


def test_a_gradient_penalty_through_the_loops_is_that_of_doubles():
    torch.manual_seed(0)
    network = nn.Sequential(SharpenedCosineSimilarity2d(3, 4, 3, padding=1), MaxAbsPool2d(2))
    x = torch.randn(2, 3, 7, 7)
    found = []
    for dtype, layout in ((torch.float64, torch.clone), (torch.float32, channels_last)):
        same = copy.deepcopy(network).to(dtype)
        seen = layout(x.to(dtype)).requires_grad_()
        (slope,) = torch.autograd.grad(same(seen).square().sum(), seen, create_graph=True)
        (slope.square().sum()).backward()
        found.append([seen.grad.double(), *(p.grad.double() for p in same.parameters())])
    for wanted, came in zip(*found, strict=True):
        assert wanted.abs().max() > 0
        torch.testing.assert_close(came, wanted, rtol=1e-4, atol=1e-4 * wanted.abs().max().item())


@pytest.mark.parametrize("layout", [channels_last, torch.clone])
def test_transforms_of_torch_func(layout):
    torch.manual_seed(0)
    layer = SharpenedCosineSimilarity2d(2, 3, 2, gain=True)
    x = layout(torch.randn(3, 2, 4, 4))
    parameters = {n: p.detach() for n, p in layer.named_parameters()}
    loss = lambda parameters, one: functional_call(layer, parameters, (one[None],)).square().sum()  # noqa: E731
    each = vmap(grad(loss), in_dims=(None, 0))(parameters, x)
    for i in range(len(x)):
        layer.zero_grad()
        layer(x[i : i + 1]).square().sum().backward()
        for name, parameter in layer.named_parameters():
            torch.testing.assert_close(each[name][i], parameter.grad, rtol=1e-4, atol=1e-6)
    score = lambda one: layer(one).square().sum()  # noqa: E731
    torch.testing.assert_close(jacfwd(score)(x[0]), jacrev(score)(x[0]))
    second = hessian(score)(x[0]).reshape(32, 32)
    torch.testing.assert_close(second, torch.autograd.functional.hessian(score, x[0]).reshape(32, 32))
    batched = torch.autograd.functional.jacobian(layer, x, vectorize=True)
    torch.testing.assert_close(batched, torch.autograd.functional.jacobian(layer, x))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
def test_tracing_takes_the_layer_and_scripting_says_what_does():
    layer = SharpenedCosineSimilarity2d(2, 3, 3, padding="same")
    x = torch.randn(1, 2, 6, 6)
    torch.testing.assert_close(torch.jit.trace(layer, x)(x), layer(x))
    torch.testing.assert_close(torch.export.export(layer, (x,)).module()(x), layer(x))
    with pytest.raises(OptionError, match="cannot be scripted"):
        torch.jit.script(nn.Sequential(layer))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float64, torch.bfloat16, torch.complex64])
def test_what_a_convolution_refuses_is_refused(dtype):
    x = torch.ones(1, 2, 5, 5).to(dtype)
    with pytest.raises(RuntimeError):
        nn.Conv2d(2, 3, 3)(x)
    with pytest.raises(DtypeError, match=str(dtype)):
        SharpenedCosineSimilarity2d(2, 3, 3)(x)


@pytest.mark.parametrize("taken", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("options", [{}, {"dilation": 2, "gain": True, "bias": True}])
def test_autocast_gives_the_type_that_it_gives_a_convolution(taken, options):
    torch.manual_seed(0)
    held = torch.float64 if taken == torch.float64 else torch.float32
    x = torch.randn(1, 8, 9, 9, dtype=taken)
    layer = SharpenedCosineSimilarity2d(8, 3, 3, dtype=held, **options)
    with torch.autocast("cpu", torch.bfloat16):
        wanted, came = nn.Conv2d(8, 3, 3, dtype=held)(x), layer(x)
    assert came.dtype == wanted.dtype
    came.float().sum().backward()
    exact = layer.double()(x.double())
    torch.testing.assert_close(came.double(), exact, rtol=0, atol=0.03 * exact.abs().max().item())


FORK = """
import torch
from torch import nn
from scs.nn.layers import MaxAbsPool2d, SharpenedCosineSimilarity2d

network = nn.Sequential(SharpenedCosineSimilarity2d(3, 8, 3, padding=1), MaxAbsPool2d(2)).to(
    memory_format=torch.channels_last
)
x = torch.ones(1, 3, 8, 8).to(memory_format=torch.channels_last)
network(x).sum().backward()

class Images(torch.utils.data.Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, i):
        return network(x).detach()

loaded = list(torch.utils.data.DataLoader(Images(), num_workers=2, multiprocessing_context="fork"))
print(max((y[0] - network(x)).abs().max().item() for y in loaded) < 1e-5)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="workers of a data loader fork on Linux")
def test_workers_of_a_data_loader_run_the_layer_after_their_parent_did():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_one_image_alone_and_every_argument_of_a_convolution(axes):
    plain = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[axes]
    x = torch.randn(4, *[6] * axes, dtype=torch.float64)
    for arguments in ((4, 6, 3, 2, 1, 1, 2, True, "reflect"), (4, 6, 3, 1, "same", 2, 1, False, "circular")):
        layer, beside = (kind(*arguments, dtype=torch.float64, device="cpu") for kind in (LAYERS[axes], plain))
        assert layer(x).shape == beside(x).shape
        torch.testing.assert_close(layer(x), layer(x[None])[0])
        assert (layer.bias is None) == (beside.bias is None)
        assert LAYERS[axes](*arguments, device="meta").weight.is_meta


def test_a_shape_that_does_not_fit_is_told_by_what_the_layer_takes():
    with pytest.raises(ShapeError, match=r"takes \(N, 3, …, …\), or one without N; \(1, 4, 5, 5\) came"):
        SharpenedCosineSimilarity2d(3, 4, 3)(torch.zeros(1, 4, 5, 5))


def test_both_published_layers_are_layers():
    """B. Rohrer's adds q to the norm of patches alone; R. Pisoni's has exponents below 1 that add up to 1."""
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    rohrer = SharpenedCosineSimilarity2d(3, 5, 5, p=1.7, q=0.2, mute_kernels=False, dtype=torch.float64)
    unit = rohrer.weight / rohrer.weight.square().sum((1, 2, 3), keepdim=True).sqrt()
    wanted = 1.2**1.7 * sharpened_cosine_similarity(x, unit, 1.7, 0.2)
    torch.testing.assert_close(rohrer(x), wanted, rtol=1e-5, atol=1e-6)

    p = torch.softmax(torch.randn(5), 0)
    pisoni = SharpenedCosineSimilarity2d(3, 5, 3, padding="same", p=p.tolist(), q=0.7**2 / 10, dtype=torch.float64)
    torch.testing.assert_close(pisoni.p, p.double())
    wanted = sharpened_cosine_similarity(x, pisoni.weight, p.double(), 0.049, padding="same")
    torch.testing.assert_close(pisoni(x), wanted)


def test_a_noise_floor_of_zero_stays_zero_and_is_no_parameter():
    layer = SharpenedCosineSimilarity2d(2, 4, 3, p=0.5, q=0)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.1, weight_decay=0.1)
    layer(torch.randn(1, 2, 5, 5)).sum().backward()
    optimiser.step()
    assert layer.q == 0 and "raw_q" not in layer.state_dict() and (layer.p > 0).all()


def test_shared_weights_are_one_set_of_kernels_for_every_group():
    layer = SharpenedCosineSimilarity2d(6, 6, 3, groups=3, shared_weights=True)
    assert layer.weight.shape == (2, 2, 3, 3)
    x = torch.randn(1, 2, 5, 5)
    y = layer(x.repeat(1, 3, 1, 1))
    torch.testing.assert_close(y, y[:, :2].repeat(1, 3, 1, 1))


def test_layers_are_copied_pickled_saved_and_moved_like_any_other():
    torch.manual_seed(0)
    layer = SharpenedCosineSimilarity2d(2, 4, 3, padding="same", bias=True, gain=True, p=[0.5, 1, 2, 3])
    x = torch.randn(1, 2, 6, 6)
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    for same in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), torch.load(file, weights_only=False)):
        torch.testing.assert_close(same(x), layer(x))
    assert layer.to(torch.bfloat16)(x.bfloat16()).dtype == torch.bfloat16
    normed = nn.utils.parametrizations.weight_norm(SharpenedCosineSimilarity2d(2, 4, 3))
    normed(x).sum().backward()
    assert normed.parametrizations.weight.original1.grad.isfinite().all()
    assert "bias=True, gain=True, p>0, q>0" in repr(layer)


def test_a_layer_from_before_there_was_a_bias_loads():
    layer = SharpenedCosineSimilarity2d(2, 4, 3)
    assert set(layer.state_dict()) == {"weight", "raw_p", "raw_q"}
    old = copy.deepcopy(layer)
    for name in ("p_min", "shared_weights", "mute_kernels"):
        del old.__dict__[name]
    del old._parameters["bias"]
    old._p_at_start = 2.0
    loaded = pickle.loads(pickle.dumps(old))
    x = torch.randn(1, 2, 5, 5)
    torch.testing.assert_close(loaded(x), layer(x))
    loaded.reset_parameters()


@pytest.mark.parametrize("bias", [False, True])
def test_fusing_with_batch_normalisation_is_refused(bias):
    layer, normalisation = SharpenedCosineSimilarity2d(3, 4, 3, bias=bias).eval(), nn.BatchNorm2d(4).eval()
    with pytest.raises(OptionError, match="cannot be fused with batch normalisation"):
        fuse_conv_bn_eval(layer, normalisation)
    with pytest.raises(AssertionError, match="did not find fuser method.*SharpenedCosineSimilarity2d"):
        fuse_modules(nn.Sequential(layer, normalisation), [["0", "1"]])
    layer.weight = nn.Parameter(torch.ones_like(layer.weight))
    assert (layer.weight == 1).all()
