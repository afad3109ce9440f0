"""Forward and backward of one SCS layer and of a whole network, beside convolution and a plain PyTorch implementation.

    python bench/training.py

On the CPU, eager and through torch.compile; bench/gpu.py measures the same on a GPU. Writes
bench/results/training.json. Layers are as in the table of the ONNX op: images, channels, kernels, pixels, kernel size.
"""

import json
import platform
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from timing import interleaved, recorded, show, summary
from torch import nn

from models.networks import Network
from models.training.allocator import keep_freed_memory
from models.training.recipes import RECIPES
from scs.nn.layers import SharpenedCosineSimilarity2d

RESULTS = Path(__file__).parent / "results" / "training.json"
SHAPES = [(32, 3, 80, 32, 5), (32, 64, 64, 32, 3), (32, 128, 128, 16, 3), (1, 64, 64, 32, 3)]
SECONDS = 5.0  # for each case, all sides together


class PlainSimilarity2d(nn.Module):
    """The formula as it is mostly written: squares convolved with ones, and a power; the gradient is torch's."""

    def __init__(self, channels, kernels, size):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(kernels, channels, size, size) / (channels * size**2) ** 0.5)
        self.p, self.q = nn.Parameter(torch.full((kernels, 1, 1), 2.0)), nn.Parameter(torch.tensor(0.1))
        self.size = size

    def forward(self, x):
        ones = torch.ones_like(self.weight[:1])
        patch_norm = (F.conv2d(x.square(), ones, padding=self.size // 2) + 1e-12).sqrt() + self.q
        kernel_norm = (self.weight.square().sum((1, 2, 3), keepdim=True) + 1e-12).sqrt() + self.q
        cosine = F.conv2d(x, self.weight / kernel_norm, padding=self.size // 2) / patch_norm
        return cosine.sign() * (cosine.abs() + 1e-6).pow(self.p)


def layers(channels, kernels, size):
    return {
        "conv2d": nn.Conv2d(channels, kernels, size, padding=size // 2, bias=False),
        "scs": SharpenedCosineSimilarity2d(channels, kernels, size, padding="same"),
        "plain PyTorch": PlainSimilarity2d(channels, kernels, size),
    }


def step(layer, x, grad, dtype=torch.float32):
    """One forward and one backward; gradients are dropped, so that every step makes them anew."""
    layer.zero_grad()
    x.grad = None
    with torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32):
        y = layer(x)
    y.backward(grad.to(y.dtype))
    if x.is_cuda:
        torch.cuda.synchronize()


def infer(layer, x, dtype=torch.float32):
    with torch.inference_mode(), torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32):
        layer(x)
    if x.is_cuda:
        torch.cuda.synchronize()


def layer_steps(shape, device="cpu"):
    """Images, layers and the gradient of their output, channels last; a stem's images need no gradient."""
    images, channels, kernels, pixels, size = shape
    torch.manual_seed(0)
    place = {"device": device, "memory_format": torch.channels_last}
    x = torch.randn(images, channels, pixels, pixels).to(**place).requires_grad_(channels > 3)
    grad = torch.randn(images, kernels, pixels, pixels).to(**place)
    return {name: layer.to(**place) for name, layer in layers(channels, kernels, size).items()}, x, grad


def network_steps(device="cpu"):
    """One whole step of either bundled CIFAR-10 recipe, the optimiser's included."""
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (128, 32, 32, 3), dtype=torch.uint8, generator=random).to(device)
    labels = torch.randint(0, 10, (128,), generator=random).to(device)
    steps = {}
    for family in ("conv", "scs"):
        recipe = RECIPES[f"cifar10-{family}"]
        made_of = recipe.widths, recipe.stages, recipe.stem_size
        network = Network(family, 3, 10, *made_of, [0.5] * 3, [0.25] * 3).train()
        network.to(device=device, memory_format=torch.channels_last)
        steps[family] = partial(learn, network, torch.optim.AdamW(network.parameters(), lr=1e-3), images, labels)
    return steps


def learn(network, optimiser, images, labels):
    loss = F.cross_entropy(network(images), labels)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    if images.is_cuda:
        torch.cuda.synchronize()


def measured(functions, base, seconds=SECONDS):
    sides = {name: summary(times) for name, times in interleaved(functions, seconds).items()}
    for name, side in sides.items():
        side["ratio"] = round(side["median_ms"] / sides[base]["median_ms"], 3)
        print(f"    {name:24} {show(side):28} {side['ratio']:.2f}x {base}", flush=True)
    return sides


def on_cpu(threads):
    torch.set_num_threads(threads)
    torch.compiler.reset()  # what was compiled for another number of threads
    results = {"threads": threads, "layers": {}}
    for shape in SHAPES:
        print(f"CPU, {threads} thread(s), training step of {shape}")
        made, x, grad = layer_steps(shape)
        made["scs, compiled"] = torch.compile(made["scs"])
        functions = {name: partial(step, layer, x, grad) for name, layer in made.items()}
        results["layers"][" ".join(map(str, shape))] = recorded(measured(functions, "conv2d"))
    print(f"CPU, {threads} thread(s), training step of the CIFAR-10 networks, 128 images")
    results["network"] = recorded(measured(network_steps(), "conv"))
    return results


def main():
    keep_freed_memory()
    results = {"versions": {"python": platform.python_version(), "torch": torch.__version__}}
    results["cpu"] = [on_cpu(threads) for threads in sorted({1, torch.get_num_threads()})]
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
