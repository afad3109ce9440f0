"""Whether a template that may be turned and scaled is said to be present only where it is.

Scenes with the object are those of bench/pose_cases.py; in scenes without it, each template is looked for in the
scene of another photograph. Prints the shares and writes bench/results/posed_presence.json.

    python bench/posed_presence.py [--count 200]
"""

import argparse
import json
import platform
import time
from pathlib import Path

import cv2
import numpy as np
from pose_cases import pose_cases

from scs.matching.finding import Search, find

RESULTS = Path(__file__).parent / "results" / "posed_presence.json"
SEARCH = Search(angles="-180:180", scales="0.5:2")
USUAL = 0.8


def best(scene, template):
    """Chance and score of the best match; 1 and 0 where there is none."""
    matches = find(scene, [template], SEARCH).matches
    return (1.0, 0.0, False) if not matches else (matches[0].chance or 1.0, matches[0].score, matches[0].present)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    count = parser.parse_args().count
    cases = list(pose_cases(count, seed=1))
    found = {"with": [], "without": []}
    start = time.perf_counter()
    for number, case in enumerate(cases):
        step = next(s for s in range(1, count) if cases[(number + s) % count].photograph != case.photograph
                    and cases[(number + s) % count].surroundings != case.photograph)  # fmt: skip
        found["with"].append(best(case.scene, case.template))
        found["without"].append(best(cases[(number + step) % count].scene, case.template))
    report = {
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "opencv": cv2.__version__},
        "scenes": {"with": count, "without": count},
        "seconds": round(time.perf_counter() - start),
        "missed": share(not present for _, _, present in found["with"]),
        "false_alarms": share(present for _, _, present in found["without"]),
        "usual_missed": share(score < USUAL for _, score, _ in found["with"]),
        "usual_false_alarms": share(score >= USUAL for _, score, _ in found["without"]),
        "chance_without": [
            float(np.quantile([chance for chance, _, _ in found["without"]], q)) for q in (0.01, 0.1, 0.5)
        ],
    }
    print(json.dumps(report, indent=2))
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")


def share(flags):
    return round(float(np.mean(list(flags))), 4)


if __name__ == "__main__":
    main()
