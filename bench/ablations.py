"""What each ingredient of the SCS network is worth: short trainings that differ in one of them, a few seeds each.

    python bench/ablations.py --data FOLDER [--epochs 4] [--seeds 2] [--only NAME…]

Accuracies are of images held back from training; the test images are not looked at. What was run is kept in --runs, so
that a script that was stopped goes on where it was.
"""

import argparse
import dataclasses
import json
import platform
import statistics
from pathlib import Path

import torch
from torch import nn

from models.datasets.dataset import load_dataset
from models.training import train as training
from models.training.allocator import keep_freed_memory
from models.training.recipes import RECIPES
from scs.nn.layers import SharpenedCosineSimilarity2d

RESULTS = Path(__file__).parent / "results" / "ablations.json"


def as_it_is(network):
    pass


def compare_depthwise(network):
    """SCS where each channel is filtered by itself, its normalisation and ReLU kept."""
    for block in network.blocks:
        channels = block[0][0].out_channels
        block[0][0] = SharpenedCosineSimilarity2d(
            channels, channels, 3, padding="same", groups=channels, q=1.0, gain=True
        )


def without_activation(network):
    for block in network.blocks:
        block[0][2] = nn.Identity()


def without_activation_and_normalisation(network):
    without_activation(network)
    for block in network.blocks:
        block[0][1] = nn.Identity()
    network.head[0] = nn.Identity()


def with_activation_everywhere(network):
    """A ReLU and plain max pooling behind SCS, too."""
    network.stem = nn.Sequential(network.stem, nn.ReLU())
    for block in network.blocks:
        block[1] = nn.Sequential(block[1], nn.ReLU())
    network.pool = nn.MaxPool2d(2)


def with_max_pooling(network):
    network.pool = nn.MaxPool2d(2)


def with_fixed_p(p):
    def change(network):
        for layer in comparing(network):
            start = torch.tensor(p - 1.0)
            layer.raw_p.data.fill_(-30.0 if p == 1 else (start + torch.log(-torch.expm1(-start))).item())
            layer.raw_p.requires_grad_(False)
            layer.gain.data.fill_(layer.weight[0].numel() ** (p / 2))

    return change


def with_fixed_q(network):
    for layer in comparing(network):
        layer.raw_q.requires_grad_(False)


def without_gain(network):
    for layer in comparing(network):
        layer.gain.data.fill_(1.0)
        layer.gain.requires_grad_(False)


VARIANTS = {
    "scs": as_it_is,
    "depthwise by SCS": compare_depthwise,
    "no ReLU": without_activation,
    "no ReLU, no normalisation": without_activation_and_normalisation,
    "ReLU and max pooling behind SCS": with_activation_everywhere,
    "max pooling": with_max_pooling,
    "p fixed at 1": with_fixed_p(1),
    "p fixed at 2": with_fixed_p(2),
    "q fixed at 1": with_fixed_q,
    "gain fixed at 1": without_gain,
    "conv": as_it_is,
}


def comparing(network):
    return [module for module in network.modules() if isinstance(module, SharpenedCosineSimilarity2d)]


def trained(variant, seed, epochs, dataset, folder):
    """The result of one training, from its folder if it was made before."""
    if not (folder / training.RESULT).exists():
        recipe = RECIPES["cifar10-conv" if variant == "conv" else "cifar10-scs"]

        def build(recipe, dataset):
            network = training.build_network(recipe, dataset)
            VARIANTS[variant](network)
            return network

        training.train(dataclasses.replace(recipe, epochs=epochs), dataset, folder, seed, build=build)
    return json.loads((folder / training.RESULT).read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with cifar10.npz")
    parser.add_argument("--runs", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--note", default="", help="what a reader must know of the data")
    options = parser.parse_args()
    keep_freed_memory()
    dataset = load_dataset("cifar10", options.data)
    accuracies = {}
    for seed in range(options.seeds):
        for variant in options.only:
            folder = options.runs / variant.replace(" ", "-").replace(",", "") / f"seed-{seed}"
            result = trained(variant, seed, options.epochs, dataset, folder)
            accuracies.setdefault(variant, []).append(result["validation_accuracy"])
            print(f"{variant:34} seed {seed}: {result['validation_accuracy']:.2%}", flush=True)
    if set(accuracies) != set(VARIANTS):
        print("not all variants were run: nothing is recorded")
        return
    RESULTS.write_text(json.dumps(record(accuracies, options), indent=2) + "\n")


def record(accuracies, options):
    base = accuracies["scs"]
    return {
        "what": "accuracy on held-back images of CIFAR-10 after a short training, by what is changed in cifar10-scs",
        "note": options.note,
        "epochs": options.epochs,
        "seeds": options.seeds,
        "variants": {
            variant: {
                "accuracies": values,
                "mean": round(statistics.mean(values), 4),
                "less_scs": round(statistics.mean(a - b for a, b in zip(values, base, strict=True)), 4),
            }
            for variant, values in accuracies.items()
        },
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    main()
