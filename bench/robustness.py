"""Robustness of SCS beside convolution: corrupted images, adversarial attacks, and calibration.

    OMP_NUM_THREADS=1 python bench/robustness.py --data DATA [--runs RUNS] [--only cifar10]

Without --runs the pairs of bundled models are measured, DATASET-scs and DATASET-conv, one seed each; with it the
finished trainings in RUNS/DATASET-scs/* and RUNS/DATASET-conv/*, all seeds. What was measured of a training is kept
beside it and not measured again. Clean accuracy and calibration are of all test images, the rest of 2,000 (spoilt) and
1,000 (attacked) of them, evenly spread, unless --spoilt and --attacked say otherwise. One thread is a wise choice on a
machine that is busy with other things: torch's threads wait for each other.

With --baselines the same networks are shown the corrupted pictures as they are, stretched to their range and
standardised (models/normalisation.py), as a line of code before either network could do; they are not trained for it.
Standardised pictures get the mean and the deviation that the training pictures have.

A difference is scs - conv, the mean over seeds, with a 95% interval over images and seeds: its variance is that of the
mean over images of the difference (of the mean over seeds, image by image, so paired), plus those of the two means over
seeds; Student's t with Welch's and Satterthwaite's degrees of freedom. With one seed a family it is over images alone.

Writes bench/results/robustness.json, a section a data set; others in it stay. Needs torch and scipy.
"""

import argparse
import json
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from scipy import stats

from models.cards.catalogue import bundled_repository, find
from models.datasets.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from models.datasets.dataset import evenly, load_dataset
from models.evaluation.attacks import BUDGETS, STEPS, attack, check_gradients, pgd
from models.evaluation.calibration import BINS, calibration_of
from models.normalisation import NORMALISE, normalised
from models.onnx.as_torch import TorchGraph
from models.runtime.load import load_model
from models.training.allocator import keep_freed_memory
from models.training.runs import RESULT, load_network

RESULTS = Path(__file__).parent / "results" / "robustness.json"
FAMILIES = "scs", "conv"
KEPT = "robustness.npz"
BATCH = 100
RESAMPLES = 300
TRANSFERRED = 250  # images
TRANSFER_BUDGET = 4.0


class Contender:
    """A network to measure, and what was measured of it, image by image."""

    def __init__(self, model, run, seed, keep=None):
        self.model, self.run, self.seed, self.keep = model, run, seed, keep
        self.found = {}

    def logits(self, images, tick):
        parts = []
        for start in range(0, len(images), BATCH):
            parts.append(self.run(images[start : start + BATCH]))
            tick(len(parts[-1]))
        return np.concatenate(parts)

    def right(self, images, labels, tick):
        return self.logits(images, tick).argmax(1) == labels

    def measure(self, dataset, spoilt, attacked, tick):
        settings = np.array([len(spoilt[0]), len(attacked[0]), STEPS])
        if self.keep and self.keep.exists():
            with np.load(self.keep) as kept:
                if np.array_equal(kept["settings"], settings) and set(CORRUPTIONS) <= set(kept):
                    self.found = dict(kept)
                    tick(views(dataset, spoilt, attacked))
                    return
        found = {"settings": settings, "logits": self.logits(dataset.test_images, tick)}
        for name in CORRUPTIONS:
            rows = [self.right(corrupt(spoilt[0], name, severity), spoilt[1], tick) for severity in SEVERITIES]
            found[name] = np.stack(rows)  # (severities, N)
        done = 0

        def attack_tick(images):
            nonlocal done
            tick((images - done) * STEPS)
            done = images

        withstood = attack(self.model, *attacked, attack_tick)
        check = check_gradients(self.model, *attacked)
        found |= {"attack_clean": withstood.clean, "fgsm": withstood.fgsm, "pgd": withstood.pgd}
        losses = [check.blank, check.clean_loss, check.noise_loss, check.fgsm_loss, *check.pgd_losses.values()]
        found |= {"losses": np.array(losses), "steps": np.array(list(check.pgd_losses))}
        found["doubts"] = np.array(check.doubts, dtype=str)
        self.found = found
        if self.keep:
            np.savez(self.keep, allow_pickle=False, **found)


def views(dataset, spoilt, attacked):
    """Images that a network is shown; one that is attacked counts for each step."""
    return len(dataset.test_images) + len(spoilt[0]) * len(CORRUPTIONS) * len(SEVERITIES) + len(attacked[0]) * STEPS


@torch.no_grad()
def run_by_torch(network, images):
    return network(torch.from_numpy(images)).numpy()


def prepared(images, way, training):
    """Pictures (N, H, W, C), normalised each by itself, as floats in the range that networks were trained on."""
    x = normalised(torch.from_numpy(images).permute(0, 3, 1, 2).float(), way)
    return (x * training[1] + training[0] if way == "standardise" else x).permute(0, 2, 3, 1).contiguous().numpy()


def baselines(dataset, pair, spoilt, tick):
    """Accuracies under each corruption, averaged over severities, by how pictures are normalised first."""
    images, labels = spoilt
    training = float(dataset.train_images.mean()), float(dataset.train_images.std())

    def right(model, shown, way):
        found = []
        for start in range(0, len(shown), BATCH):
            some_of = prepared(shown[start : start + BATCH], way, training)
            found.append(run_by_torch(model, some_of).argmax(1) == labels[start : start + BATCH])
            tick(len(some_of))
        return np.concatenate(found).astype(float)

    def under(name, way):
        severities = [images] if name == "none" else [corrupt(images, name, severity) for severity in SEVERITIES]
        means = [
            [np.mean([right(one.model, each, way) for each in severities], 0) for one in family] for family in pair
        ]
        return compared(*(np.stack(family) for family in means))

    return {name: {way: under(name, way) for way in NORMALISE} for name in ("none", *CORRUPTIONS)}


def show_baselines(name, found):
    for corruption, ways in found.items():
        sides = [
            f"{way} {np.mean(each['scs']):.3f} {np.mean(each['conv']):.3f} ({each['difference']:+.3f})"
            for way, each in ways.items()
        ]
        print(f"{name} {corruption:10}", *sides, sep="  ")


def contenders(dataset, family, runs):
    name = f"{dataset}-{family}"
    if runs is None:
        entry = find(bundled_repository(), name)
        content, card = entry.verified_bytes(), entry.card()
        run = load_model(content, card, "cpu").logits
        return [Contender(TorchGraph(content), run, card.training.seed)]
    finished = sorted(path.parent for path in (runs / name).glob(f"*/{RESULT}"))
    found = []
    for folder in finished:
        network, result = load_network(folder)
        found.append(Contender(network, partial(run_by_torch, network), result["seed"], folder / KEPT))
    return sorted(found, key=lambda one: one.seed)


def some(dataset, most):
    return evenly(dataset.test_images, most), evenly(dataset.test_labels, most)


def interval(difference, image_variance, by_seed):
    """95%, of a difference of two means over seeds."""
    parts = [(image_variance, np.inf)]
    parts += [(np.var(values, ddof=1) / len(values), len(values) - 1) for values in by_seed if len(values) > 1]
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return [difference, difference]
    freedom = variance**2 / max(sum(part**2 / degrees for part, degrees in parts), 1e-300)
    half = stats.t.ppf(0.975, freedom) * variance**0.5
    return [difference - half, difference + half]


def compared(scs, conv, less=None):
    """Means of values image by image, arrays of (seeds, N); ``less`` is taken off, such a pair too."""
    if less is not None:
        scs, conv = scs - less[0], conv - less[1]
    by_seed = scs.mean(1), conv.mean(1)
    apart = scs.mean(0) - conv.mean(0)
    difference = float(apart.mean())
    edges = interval(difference, apart.var(ddof=1) / len(apart), by_seed)
    names = dict(zip(FAMILIES, (rounded(values) for values in by_seed), strict=True)) if less is None else {}
    return {**names, "difference": round(difference, 5), "interval_95": rounded(edges)}


def by_family(pair):
    """The mean over images of each seed."""
    return {name: rounded(values.mean(1)) for name, values in zip(FAMILIES, pair, strict=True)}


def rounded(values):
    return [round(float(value), 5) for value in values]


def gathered(pair, key, row=None):
    """What was found of each seed, (seeds, N), for both families."""
    found = [np.stack([one.found[key] for one in family]) for family in pair]
    return [(each if row is None else each[:, row]).astype(float) for each in found]


def averaged(pair, key):
    """The mean over severities or budgets, image by image."""
    return [each.mean(1) for each in gathered(pair, key)]


def calibrated(pair, labels):
    logits = [np.stack([one.found["logits"] for one in family]) for family in pair]
    every = [[calibration_of(each, labels) for each in family] for family in logits]
    errors = [[each.expected_error for each in family] for family in every]
    random = np.random.default_rng(0)

    def apart(chosen):
        scs, conv = (
            np.mean([calibration_of(each[chosen], labels[chosen]).expected_error for each in family])
            for family in logits
        )
        return scs - conv

    resampled = [apart(random.integers(0, len(labels), len(labels))) for _ in range(RESAMPLES)]
    difference = float(np.mean(errors[0]) - np.mean(errors[1]))
    losses = [np.stack([-log_softmax(each)[np.arange(len(labels)), labels] for each in family]) for family in logits]
    return {
        "expected_calibration_error": {
            **dict(zip(FAMILIES, map(rounded, errors), strict=True)),
            "difference": round(difference, 5),
            "interval_95": rounded(interval(difference, np.var(resampled), errors)),
        },
        "negative_log_likelihood": compared(*losses),
        "reliability": {name: pooled(family) for name, family in zip(FAMILIES, every, strict=True)},
    }


def log_softmax(logits):
    return torch.log_softmax(torch.from_numpy(logits).double(), 1).numpy()


def pooled(calibrations):
    """The bins of all seeds together."""
    counts = np.sum([each.counts for each in calibrations], 0)
    sums = [
        np.sum([each.counts * getattr(each, name) for each in calibrations], 0) for name in ("confidence", "accuracy")
    ]
    shares = [rounded(np.divide(each, counts, out=np.zeros(BINS), where=counts > 0)) for each in sums]
    return {"counts": counts.tolist(), "confidence": shares[0], "accuracy": shares[1]}


def gradients(family):
    found = [one.found for one in family]
    return {
        "blank": rounded(one["losses"][0] for one in found),
        "clean_loss": rounded(one["losses"][1] for one in found),
        "noise_loss": rounded(one["losses"][2] for one in found),
        "fgsm_loss": rounded(one["losses"][3] for one in found),
        "pgd_losses": {
            str(steps): rounded(one["losses"][4 + i] for one in found) for i, steps in enumerate(found[0]["steps"])
        },
        "doubts": sorted({str(doubt) for one in found for doubt in one["doubts"]}),
    }


def transferred(pair, attacked):
    """Accuracy of each family, first seeds, on images made against the other, and against itself, by PGD."""
    images, labels = (torch.from_numpy(each[:TRANSFERRED]) for each in attacked)
    found = {}
    made = [pgd(family[0].model, images.float(), labels, TRANSFER_BUDGET, until_fooled=False) for family in pair]
    with torch.no_grad():
        for name, family, own, others in zip(FAMILIES, pair, made, made[::-1], strict=True):
            shares = [(family[0].model(each).argmax(1) == labels).double().mean().item() for each in (own, others)]
            found[name] = {"made against itself": shares[0], "made against the other": shares[1]}
    return found


def section(dataset, pair, spoilt, attacked):
    labels = dataset.test_labels
    for family in pair:
        for one in family:
            every = max(1, len(labels) // len(spoilt[1]))
            one.found["clean"] = one.found["logits"].argmax(1) == labels
            one.found["spoilt_clean"] = one.found["clean"][::every][: len(spoilt[1])]
    clean_of_spoilt, clean_of_attacked = gathered(pair, "spoilt_clean"), gathered(pair, "attack_clean")
    corruptions = {
        name: {
            "severities": [by_family(gathered(pair, name, row)) for row in range(len(SEVERITIES))],
            "mean": compared(*averaged(pair, name)),
            "beyond_clean": compared(*averaged(pair, name), less=clean_of_spoilt),
        }
        for name in CORRUPTIONS
    }
    every = [np.mean([averaged(pair, name)[i] for name in CORRUPTIONS], 0) for i in range(len(FAMILIES))]
    return {
        "clean": compared(*gathered(pair, "clean")),
        "spoilt_clean": compared(*clean_of_spoilt),
        "corruptions": corruptions,
        "all_corruptions": {"mean": compared(*every), "beyond_clean": compared(*every, less=clean_of_spoilt)},
        "attacks": {
            "budgets_of_255": BUDGETS,
            "pgd_steps": STEPS,
            "clean": compared(*clean_of_attacked),
            **{
                name: [
                    {
                        **compared(*gathered(pair, name, row)),
                        "beyond_clean": compared(*gathered(pair, name, row), less=clean_of_attacked),
                    }
                    for row in range(len(BUDGETS))
                ]
                for name in ("fgsm", "pgd")
            },
            "gradients": {name: gradients(family) for name, family in zip(FAMILIES, pair, strict=True)},
            "transfer": transferred(pair, attacked),
        },
        **calibrated(pair, labels),
    }


def show(name, found):
    print(f"\n{name}")
    lines = {"clean": found["clean"]}
    lines |= {corruption: each["mean"] for corruption, each in found["corruptions"].items()}
    lines["all corruptions"] = found["all_corruptions"]["mean"]
    for method in ("fgsm", "pgd"):
        lines |= {f"{method} {b:g}/255": one for b, one in zip(BUDGETS, found["attacks"][method], strict=True)}
    lines |= {key.replace("_", " "): found[key] for key in ("expected_calibration_error", "negative_log_likelihood")}
    for words, each in lines.items():
        low, high = each["interval_95"]
        sides = "  ".join(f"{family} {np.mean(each[family]):.4f}" for family in FAMILIES)
        print(f"{words:28} {sides}  difference {each['difference']:+.4f} ({low:+.4f} to {high:+.4f})")
    for family, each in found["attacks"]["gradients"].items():
        print(f"gradients of {family}: {each}")
    print("transfer:", found["attacks"]["transfer"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--only", action="append", help="a data set; every one that there is a pair of unless given")
    parser.add_argument("--baselines", action="store_true", help="only those, of normalised pictures")
    parser.add_argument("--spoilt", type=int, default=2000, help="images")
    parser.add_argument("--attacked", type=int, default=1000, help="images")
    options = parser.parse_args()

    keep_freed_memory()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"datasets": {}}
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    for name in options.only or ["cifar10", "mnist"]:
        pair = [contenders(name, family, options.runs) for family in FAMILIES]
        if not all(pair):
            print(f"{name}: a finished training of each family is needed; there are {list(map(len, pair))}")
            continue
        dataset = load_dataset(name, options.data)
        spoilt, attacked = some(dataset, options.spoilt), some(dataset, options.attacked)
        with Progress(*columns, console=Console(stderr=True)) as bar:
            if options.baselines:
                shown = sum(map(len, pair)) * len(NORMALISE) * (1 + len(CORRUPTIONS) * len(SEVERITIES))
                task = bar.add_task(f"{name}, baselines", total=shown * len(spoilt[0]))
                found = baselines(dataset, pair, spoilt, partial(bar.advance, task))
                results.setdefault("baselines", {})[name] = found
                RESULTS.write_text(json.dumps(results, indent=1) + "\n")
                show_baselines(name, found)
                continue
            for family, ones in zip(FAMILIES, pair, strict=True):
                for one in ones:
                    task = bar.add_task(f"{name}-{family} {one.seed}", total=views(dataset, spoilt, attacked))
                    one.measure(dataset, spoilt, attacked, lambda more, task=task: bar.advance(task, more))
        found = section(dataset, pair, spoilt, attacked)
        results["datasets"][name] = found
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        show(name, found)


if __name__ == "__main__":
    main()
