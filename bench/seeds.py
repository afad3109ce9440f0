"""SCS beside its convolution twin, and networks that blur their maps beside those that do not, over seeds.

    python bench/seeds.py --runs runs                # test accuracies of twins, and their difference with an interval
    python bench/seeds.py --runs runs --data DATA    # with and without a blur as well: accuracy, and shifts

Reads runs/NAME/seed-N as `scs train` leaves them. Twins are NAME-scs and NAME-conv with two seeds each; accuracies are
those of the networks before export, and the export checks that its file says the same. Of NAME and NAME-blurred each
network is exported as TorchScript and measured on test images: on all of them its accuracy, on 1,000 spread evenly how
far its layers follow a shift by one pixel, and whether the class stays. Pairs that are not there keep their results.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from scipy.stats import ttest_ind

from models.cards.catalogue import find
from models.datasets.dataset import load_dataset
from models.export.export import export_runs
from models.training.recipes import RECIPES
from models.training.runs import RESULT, load_network

RESULTS = Path(__file__).parent / "results" / "seeds.json"


def runs_of(folder):
    """Folders of a model's finished trainings, by seed."""
    return [path.parent for path in sorted(folder.glob(f"*/{RESULT}"))]


def twin(folder):
    """One side of a pair."""
    results = [json.loads((run / RESULT).read_text()) for run in runs_of(folder)]
    if len({json.dumps(result["recipe"]) for result in results}) > 1:
        raise SystemExit(f"{folder.name} has trainings of different recipes")
    network, _ = load_network(runs_of(folder)[0])
    test = [result["test_accuracy"] for result in results]
    return {
        "parameters": sum(p.numel() for p in network.parameters()),
        "epochs": results[0]["recipe"]["epochs"],
        "test_accuracies": test,
        "mean": round(statistics.mean(test), 4),
        "spread": round(statistics.stdev(test), 4),
    }


def twins(scs, conv):
    """Both sides, and what SCS has more, with the 95% interval of Welch's test over seeds."""
    ours, theirs = twin(scs), twin(conv)
    interval = ttest_ind(ours["test_accuracies"], theirs["test_accuracies"], equal_var=False).confidence_interval()
    return {
        "scs": ours,
        "conv": theirs,
        "difference": round(ours["mean"] - theirs["mean"], 4),
        "interval_95": [round(float(interval.low), 4), round(float(interval.high), 4)],
    }


def shifted(run, dataset):
    """The card's figures of one training."""
    with tempfile.TemporaryDirectory() as folder:
        export_runs("network", [run], dataset, Path(folder), 1, "torchscript")
        card = find(Path(folder), "network").card()
    served, alone = card.equivariance.as_served, card.equivariance.without_borders
    last = list(served.layers)[-2]  # before the class map
    return {
        "accuracy": card.accuracy.accuracy,
        "class_kept": served.class_kept,
        "logits": served.logits,
        "last_layer": served.layers[last],
        "class_kept_without_borders": alone.class_kept,
        "logits_without_borders": alone.logits,
        "last_layer_without_borders": alone.layers[last],
    }


def blurred(folder, dataset):
    """Means over a model's trainings, and the spread of the accuracy."""
    seeds = [shifted(run, dataset) for run in runs_of(folder)]
    means = {key: round(statistics.mean(seed[key] for seed in seeds), 4) for key in seeds[0]}
    spread = round(statistics.stdev(seed["accuracy"] for seed in seeds), 4) if len(seeds) > 1 else None
    return {"seeds": len(seeds), "mean": means, "accuracy_spread": spread}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--data", type=Path, help="folder of the data sets; without it nothing is exported")
    options = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"twins": {}, "blurred": {}}
    for name, recipe in RECIPES.items():
        conv = name.replace("-scs", "-conv")
        if name != conv and all(len(runs_of(options.runs / each)) > 1 for each in (name, conv)):
            found = twins(options.runs / name, options.runs / conv)
            results["twins"][name.replace("-scs", "")] = found
            print(f"{name} less {conv}: {found['difference']:+.2%}, 95% interval {found['interval_95']}", flush=True)
        folders = {"plain": options.runs / name, "blurred": options.runs / f"{name}-blurred"}
        if options.data and all(runs_of(folder) for folder in folders.values()):
            dataset = load_dataset(recipe.dataset, options.data)
            found = {which: blurred(folder, dataset) for which, folder in folders.items()}
            results["blurred"][name] = found
            for which, one in found.items():
                print(name, which, one["mean"], flush=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
