"""Networks that blur their maps before halving them, beside those that do not, over seeds: accuracy, and shifts.

    python bench/blur.py --runs runs --data DATA

Reads runs/NAME/seed-N and runs/NAME-blurred/seed-N as `scs train` leaves them, and records every pair that has both.
Each network is exported as TorchScript and measured on test images: on all of them its accuracy, on 1,000, spread
evenly, how far its layers follow a shift by one pixel, and whether the class stays.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from models.cards.catalogue import find
from models.datasets.dataset import load_dataset
from models.export.export import export_runs
from models.training.recipes import RECIPES
from models.training.train import RESULT

RESULTS = Path(__file__).parent / "results" / "blur.json"


def measured(run, dataset):
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


def side(folder, dataset):
    """Means over a model's trainings, the spread of the accuracy, and every one."""
    seeds = [measured(path.parent, dataset) for path in sorted(folder.glob(f"*/{RESULT}"))]
    means = {key: round(statistics.mean(seed[key] for seed in seeds), 4) for key in seeds[0]}
    accuracies = [seed["accuracy"] for seed in seeds]
    spread = round(statistics.stdev(accuracies), 4) if len(seeds) > 1 else None
    return {"seeds": len(seeds), "mean": means, "accuracy_spread": spread, "each": seeds}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name, recipe in RECIPES.items():
        folders = {"plain": options.runs / name, "blurred": options.runs / f"{name}-blurred"}
        if all(any(folder.glob(f"*/{RESULT}")) for folder in folders.values()):
            dataset = load_dataset(recipe.dataset, options.data)
            found[name] = {which: side(folder, dataset) for which, folder in folders.items()}
            for which, one in found[name].items():
                print(name, which, one["mean"])
    if not found:
        raise SystemExit("no model has trainings with and without a blur: run scs train NAME and NAME-blurred first")
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
