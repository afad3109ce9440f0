"""SCS beside its convolution twin over seeds: test accuracies, and their difference with an interval.

    python bench/seeds.py --runs runs

Reads runs/NAME/seed-N as `scs train` leaves them, and records every pair NAME-scs, NAME-conv that has two seeds.
Accuracies are those of the networks before export; the export checks that its file says the same.
"""

import argparse
import json
import statistics
from pathlib import Path

from scipy.stats import ttest_ind

from models.training.recipes import RECIPES
from models.training.train import RESULT, load_network

RESULTS = Path(__file__).parent / "results" / "seeds.json"


def finished(folder):
    """Results of a model's trainings, by seed."""
    results = [json.loads(path.read_text()) for path in sorted(folder.glob(f"*/{RESULT}"))]
    if len({json.dumps(result["recipe"]) for result in results}) > 1:
        raise SystemExit(f"{folder.name} has trainings of different recipes")
    return results


def side(folder, results):
    network, _ = load_network(next(folder.glob(f"*/{RESULT}")).parent)
    test = [result["test_accuracy"] for result in results]
    return {
        "parameters": sum(p.numel() for p in network.parameters()),
        "epochs": results[0]["recipe"]["epochs"],
        "learning_rate": results[0]["recipe"]["learning_rate"],
        "test_accuracies": test,
        "mean": round(statistics.mean(test), 4),
        "spread": round(statistics.stdev(test), 4),
        "note": results[0]["note"],
    }


def pair(runs, scs, conv):
    """Both sides, and what SCS has more, with the 95% interval of Welch's test over seeds."""
    sides = {name: side(runs / name, finished(runs / name)) for name in (scs, conv)}
    ours, theirs = (sides[name]["test_accuracies"] for name in (scs, conv))
    interval = ttest_ind(ours, theirs, equal_var=False).confidence_interval()
    return {
        "scs": sides[scs],
        "conv": sides[conv],
        "difference": round(statistics.mean(ours) - statistics.mean(theirs), 4),
        "interval_95": [round(float(interval.low), 4), round(float(interval.high), 4)],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    options = parser.parse_args()
    pairs = {}
    for scs in RECIPES:
        conv = scs.replace("-scs", "-conv")
        if scs != conv and all(len(finished(options.runs / name)) > 1 for name in (scs, conv)):
            pairs[scs.replace("-scs", "")] = found = pair(options.runs, scs, conv)
            print(scs, found["scs"]["test_accuracies"], conv, found["conv"]["test_accuracies"])
            print(f"  SCS less convolution {found['difference']:+.2%}, 95% interval {found['interval_95']}")
    if not pairs:
        raise SystemExit("no pair of models has two finished trainings each: run scs train with several seeds first")
    RESULTS.write_text(json.dumps(pairs, indent=2) + "\n")


if __name__ == "__main__":
    main()
