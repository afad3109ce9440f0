"""What each ingredient of a recipe is worth: the recipe trained again with one of them changed.

    python bench/ingredients.py mnist-conv-small --data DATA --epochs 40 --seeds 3

Trains every row for so many epochs, each seed in RUNS/NAME/ROW/seed-N, where an interrupted training goes on; the first
row is the recipe as it is. Accuracies are those of the images held back, by which one may choose, and of the test
images. Rows that were measured before are kept. Writes bench/results/ingredients.json.
"""

import argparse
import json
import statistics
from dataclasses import replace
from pathlib import Path

import torch

from models.datasets.dataset import load_dataset
from models.training.recipes import recipe_for
from models.training.runs import RESULT
from models.training.train import train

RESULTS = Path(__file__).parent / "results" / "ingredients.json"
AS_IT_IS = "as it is"
CHANGES = {
    AS_IT_IS: {},
    "pooled by the largest value": {"pooling": "largest"},
    "ReLU": {"activation": "relu"},
    "every scale": {"lean": False},
}


def measured(recipe, changes, dataset, folder, seeds):
    """A row: the mean accuracies over seeds, and how far they scatter."""
    results = []
    for seed in range(seeds):
        run = folder / f"seed-{seed}"
        network = train(replace(recipe, **changes), dataset, run, seed)
        results.append(json.loads((run / RESULT).read_text()))
        print(folder.name, seed, results[-1]["validation_accuracy"], results[-1]["test_accuracy"], flush=True)
    row = {"parameters": sum(p.numel() for p in network.parameters()), "epochs": recipe.epochs, "seeds": seeds}
    for which in ("validation", "test"):
        found = [result[f"{which}_accuracy"] for result in results]
        row[which] = round(statistics.mean(found), 4)
        row[f"{which}_spread"] = round(statistics.stdev(found), 4) if seeds > 1 else None
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of a recipe")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--runs", type=Path, default=Path("runs/ingredients"))
    parser.add_argument("--epochs", type=int, help="of every row; the recipe's unless given")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", default="", help="rows whose names have this in them")
    options = parser.parse_args()
    torch.set_num_threads(1)
    recipe = recipe_for(options.name)
    recipe = replace(recipe, epochs=options.epochs or recipe.epochs)
    dataset = load_dataset(recipe.dataset, options.data)
    for label, changes in CHANGES.items():
        if options.only in label:
            row = measured(recipe, changes, dataset, options.runs / options.name / label, options.seeds)
            results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
            results.setdefault(options.name, {})[label] = row
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
