"""What the search from coarse to fine loses against the whole map: scs.matching.coarse on photographs.

Templates are cut out of photographs and looked for in renditions of them: exact, moved by part of a pixel, scaled by a
few percent, blurred, noisy, compressed, under other light. So that small photographs can be used, and are shrunk as
much as large ones, the limits below which the search leaves a scene to the whole map are lifted. Cases whose best score
in the whole map is above .8 count, one half asking for the best match, the other for all above .8. A match is lost
where the search answers, and not with that score.

Prints a table and writes bench/results/coarse.json. Needs scikit-image; with SCS_DATA photographs from there as well.

    python bench/coarse.py [--cases 1000] [--seed 1]
"""

import argparse
import collections
import json
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from scs.matching import upright
from scs.matching.coarse import plan, search
from scs.matching.finding import Search

RESULTS = Path(__file__).parent / "results" / "coarse.json"
NAMES = ("camera", "astronaut", "coffee", "chelsea", "rocket", "brick", "grass", "gravel", "coins", "moon", "page")
SIDES = 24, 180
LEVEL = 0.8
SAME = 1e-4  # of scores
RENDITIONS = ("exact", "moved", "scaled", "blurred", "noisy", "compressed", "light")


@dataclass(frozen=True)
class Outcome:
    """One case: what was done to the scene, and what the search made of it."""

    rendition: str
    answered: bool
    lost: int
    matches: int
    present_differs: bool


def photographs():
    """Pictures of scikit-image, and of SCS_DATA where it is set, the larger ones cut to 1000 pixels."""
    pictures = [getattr(data, name)() for name in NAMES]
    folder = os.environ.get("SCS_DATA")
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix in (".jpg", ".png")) if folder else []
    read = (cv2.imread(str(path)) for path in paths[:: max(1, len(paths) // 60)])
    pictures += [picture[..., ::-1] for picture in read if picture is not None]
    return [np.ascontiguousarray(p[:1000, :1000]) for p in pictures if min(p.shape[:2]) >= 240]


def rendered(picture, kind, rng):
    """A photograph as another camera, or another file, has it."""
    height, width = picture.shape[:2]
    if kind in ("moved", "scaled"):
        scale = rng.uniform(0.97, 1.03) if kind == "scaled" else 1.0
        step = rng.uniform(-0.5, 0.5, 2)
        matrix = np.array([[scale, 0, step[0]], [0, scale, step[1]]])
        return cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    if kind == "blurred":
        return cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 1.5))
    if kind == "noisy":
        return np.clip(picture + rng.normal(0, rng.uniform(2, 15), picture.shape), 0, 255).astype(np.uint8)
    if kind == "compressed":
        return cv2.imdecode(
            cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 90))])[1],
            cv2.IMREAD_UNCHANGED,
        )
    if kind == "light":
        return np.clip(picture * rng.uniform(0.6, 1.3) + rng.uniform(-20, 20), 0, 255).astype(np.uint8)
    return picture


def case(pictures, rng):
    """A scene, a template, and what was done to the scene."""
    picture = pictures[rng.integers(len(pictures))]
    if picture.ndim == 3 and rng.random() < 0.5:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    height, width = (int(round(np.exp(rng.uniform(*np.log(SIDES))))) for _ in range(2))
    row, column = (int(rng.integers(0, n - s + 1)) for n, s in zip(picture.shape, (height, width), strict=False))
    kind = RENDITIONS[rng.integers(len(RENDITIONS))]
    return rendered(picture, kind, rng), picture[row : row + height, column : column + width], kind


def whole(scene, template, asked):
    """The matches of the whole map."""
    return upright.find_in_maps(scene, [template], [None], asked)[0][0]


def compared(scene, template, kind, asked):
    """What the search finds beside the whole map; None where that has no match above the level."""
    expected = [match for match in whole(scene, template, asked) if match.score > LEVEL]
    if not expected:
        return None
    (found,) = search.CoarseSearch(scene, asked).find([template])
    if found is None:
        return Outcome(kind, False, 0, len(expected), False)
    scores = [match.score for match in found[0]] + [-1.0] * len(expected)
    lost = sum(there < match.score - SAME for there, match in zip(scores, expected, strict=False))
    present = [match.present for match in found[0]] + [False] * len(expected)
    differs = any(yes != match.present for yes, match in zip(present, expected, strict=False))
    return Outcome(kind, True, lost, len(expected), differs)


def lifted():
    """Lift the limits below which scenes are left to the whole map."""
    search._LEAST_PIXELS = search._LEAST_PLACES = 0
    plan._LEAST_PIXELS = 2**10


def measure(cases, seed):
    """So many outcomes."""
    lifted()
    rng = np.random.default_rng(seed)
    pictures = photographs()
    outcomes = []
    while len(outcomes) < cases:
        asked = Search() if len(outcomes) % 2 else Search(top=5, threshold=LEVEL)
        scene, template, kind = case(pictures, rng)
        outcome = compared(scene, template, kind, asked)
        if outcome:
            outcomes.append(outcome)
    return outcomes


def summary(outcomes):
    """Counts by rendition."""
    by_kind = collections.defaultdict(list)
    for outcome in outcomes:
        by_kind[outcome.rendition].append(outcome)
        by_kind["all"].append(outcome)
    return {
        kind: {
            "cases": len(some),
            "answered": sum(one.answered for one in some),
            "matches": sum(one.matches for one in some if one.answered),
            "lost": sum(one.lost for one in some),
            "present_differs": sum(one.present_differs for one in some),
        }
        for kind, some in by_kind.items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    report = summary(measure(options.cases, options.seed))
    for kind in (*RENDITIONS, "all"):
        print(f"{kind:<12}{report.get(kind)}")
    in_order = {kind: report[kind] for kind in (*RENDITIONS, "all") if kind in report}
    RESULTS.write_text(json.dumps(in_order, indent=1) + "\n")


if __name__ == "__main__":
    main()
