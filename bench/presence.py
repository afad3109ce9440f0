"""Is the template in the scene at all? The chance told by scs.matching.surprise against a threshold on the score.

Scenes are photographs. In some the template is absent: it is a part of another photograph, or a part of the same one
that is cut off. In the others it is a part of the scene as another camera might have seen it: turned, scaled, blurred,
under other light, noisy and compressed. Half of the photographs are for choosing anything by; the other half reports.

Prints tables and writes bench/results/presence.json. Needs scikit-image. With --data, the folders `opencv`, `bbs` and
`boat` of DIR give further photographs.

    python bench/presence.py [--data DIR] [--cases 400] [--seed 0]
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scs.matching.surprise import judge
from skimage import data

from scs.matching.peaks import find_peaks

RESULTS = Path(__file__).parent / "results" / "presence.json"
LONGEST_SIDE = 640
PACKAGED = [
    "astronaut",
    "brick",
    "camera",
    "cell",
    "chelsea",
    "coffee",
    "coins",
    "grass",
    "gravel",
    "hubble_deep_field",
    "immunohistochemistry",
    "microaneurysms",
    "moon",
    "page",
    "retina",
    "rocket",
    "text",
    "clock",
]
# Standard deviation of noise (grey levels), angle (degrees), scale (share), blur (pixels), JPEG quality; at most.
LEVELS = [
    (0, 0, 0, 0, 100),
    (4, 1, 0.01, 0.5, 90),
    (8, 3, 0.03, 0.8, 70),
    (15, 6, 0.06, 1.2, 50),
    (25, 10, 0.1, 1.6, 30),
]
NOMINAL = (0.5, 0.2, 0.1, 0.05, 0.01, 0.001, 0.0001)
LEVEL = 0.01
COPIES = (1, 2, 4, 8)
USUAL_THRESHOLD = 0.8
FAINTEST = 10  # standard deviation of a template, grey levels
ABSENT = ("another photograph", "cut off the same photograph")


@dataclass(frozen=True)
class Case:
    kind: str
    scene: np.ndarray
    template: np.ndarray
    level: int
    corner: tuple[int, int]


def photographs(folder):
    pictures = {name: getattr(data, name)() for name in PACKAGED}
    pictures["motorcycle"] = data.stereo_motorcycle()[0]
    if folder:
        for path in sorted((folder / "opencv").glob("*.jpg")):
            if "tmpl" not in path.name:
                pictures[path.stem] = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        for path in sorted((folder / "bbs").glob("*frm1*.jpg")):
            pictures.setdefault(path.stem.split("_")[2], cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
        pictures["boat"] = cv2.imread(str(folder / "boat" / "img1.pgm"), cv2.IMREAD_GRAYSCALE)
    return {name: reduced(grey(picture)) for name, picture in pictures.items()}


def grey(picture):
    return picture if picture.ndim == 2 else cv2.cvtColor(picture[..., :3], cv2.COLOR_RGB2GRAY)


def reduced(picture):
    factor = LONGEST_SIDE / max(picture.shape)
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) if factor < 1 else picture


def seen_again(picture, level, rng):
    """A photograph as another camera might have taken it, and the affine map from its pixels to the new ones."""
    noise, angle, scale, blur, quality = LEVELS[level]
    height, width = picture.shape
    centre = (width - 1) / 2, (height - 1) / 2
    moves = cv2.getRotationMatrix2D(centre, rng.uniform(-angle, angle), 1 + rng.uniform(-scale, scale))
    again = cv2.warpAffine(picture, moves, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    if level == 0:
        return again, moves
    again = cv2.GaussianBlur(again.astype(np.float32), (0, 0), rng.uniform(0.1, blur))
    again = (
        (again - 128) * rng.uniform(0.7, 1.2) + 128 + rng.uniform(-25, 25) + noise * rng.standard_normal(again.shape)
    )
    again = again.round().clip(0, 255).astype(np.uint8)
    return cv2.imdecode(cv2.imencode(".jpg", again, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 0), moves


def draw(pictures, kind, rng):
    """Draw until the template has something on it and is at most half as large as its scene."""
    while True:
        case = _draw(pictures, kind, rng)
        height, width = case.template.shape
        if case.template.std() > FAINTEST and case.scene.shape[0] >= 2 * height and case.scene.shape[1] >= 2 * width:
            return case


def _draw(pictures, kind, rng):
    name, other = rng.choice(list(pictures), 2, replace=False)
    scene = pictures[name]
    source = pictures[other] if kind == ABSENT[0] else scene
    width = round(2 ** rng.uniform(4, np.log2(96)))
    height = int(np.clip(round(width * 2 ** rng.uniform(-0.5, 0.5)), 16, 96))
    height, width = min(height, source.shape[0] - 2), min(width, source.shape[1] - 2)
    row, column = int(rng.integers(source.shape[0] - height)), int(rng.integers(source.shape[1] - width))
    level = int(rng.integers(len(LEVELS)))
    again, moves = seen_again(source, level, rng)
    if kind == ABSENT[1]:
        margin = 10
        bands = (
            scene[: max(0, row - margin)],
            scene[row + height + margin :],
            scene[:, : max(0, column - margin)],
            scene[:, column + width + margin :],
        )
        scene = max(bands, key=lambda band: band.size)
    elif kind == "present":
        x, y = moves @ [column + (width - 1) / 2, row + (height - 1) / 2, 1]
        left, top = round(x - (width - 1) / 2), round(y - (height - 1) / 2)
        if not (0 <= left <= source.shape[1] - width and 0 <= top <= source.shape[0] - height):
            return _draw(pictures, kind, rng)
        return Case(kind, scene, again[top : top + height, left : left + width], level, (row, column))
    template = again[row : row + height, column : column + width]
    return Case(kind, scene, template, level, (row, column))


def ccoeff_normed(scene, template):
    scores = cv2.matchTemplate(scene, template, cv2.TM_CCOEFF_NORMED)
    size = template.shape[::-1]
    mean, square = (cv2.blur(scene.astype(np.float64) ** power, size, anchor=(0, 0)) for power in (1, 2))
    flat = (square - mean**2)[: scores.shape[0], : scores.shape[1]] < 1e-3
    return np.where(flat, 0, scores).clip(-1, 1)


def scs(scene, template):
    return cv2.matchTemplate(scene, template, cv2.TM_CCORR_NORMED).clip(0, 1) ** 2


METHODS = {"ccoeff_normed": (ccoeff_normed, 1.0), "scs": (scs, 2.0)}


def near(peak, corner):
    return max(abs(peak.row - corner[0]), abs(peak.column - corner[1])) <= 3


def observe(case, method):
    """What the best place of a scene says: its score, ratio and chance, and whether it is the right one."""
    score, p = METHODS[method]
    scores, window = score(case.scene, case.template), case.template.shape
    peaks = find_peaks(scores, window, 1, threshold=-2, p=p)
    (surprise,) = judge(scores, peaks, window, p=p)
    return {
        "kind": case.kind,
        "level": case.level,
        "score": peaks[0].score,
        "psr": surprise.psr or 0.0,
        "chance": 1.0 if surprise.chance is None else surprise.chance,
        "right": case.kind == "present" and near(peaks[0], case.corner),
    }


def share(values):
    return round(float(np.mean(values)), 4) if len(values) else None


def errors(observed, accepted):
    """Shares of absent templates that were accepted, and of present ones that were not, or elsewhere."""
    pairs = list(zip(observed, accepted, strict=True))
    missed = [(one, not (yes and one["right"])) for one, yes in pairs if one["kind"] == "present"]
    return {
        "false_alarms": {kind: share([yes for one, yes in pairs if one["kind"] == kind]) for kind in ABSENT},
        "misses": share([miss for _, miss in missed]),
        "misses_by_level": [
            share([miss for one, miss in missed if one["level"] == level]) for level in range(len(LEVELS))
        ],
    }


def summarise(observed, limits):
    """Errors and calibration. ``limits``: for each measure, what 1 in 100 absent ones exceed."""
    absent = [one for one in observed if one["kind"] != "present"]
    rules = {f"chance < {LEVEL}": [one["chance"] < LEVEL for one in observed]}
    rules[f"score > {USUAL_THRESHOLD}"] = [one["score"] > USUAL_THRESHOLD for one in observed]
    for measure, limit in limits.items():
        rules[f"{measure} > {limit:.3g}, chosen for 1 % on the other half"] = [one[measure] > limit for one in observed]
    return {
        "rules": {rule: errors(observed, accepted) for rule, accepted in rules.items()},
        "calibration": {
            kind: {
                str(chance): share([one["chance"] < chance for one in absent if one["kind"] == kind])
                for chance in NOMINAL
            }
            for kind in ABSENT
        },
    }


def with_copies(case, copies, rng):
    """A scene with further copies of what the template was taken from, none upon another."""
    height, width = case.template.shape
    scene, corners = case.scene.copy(), [case.corner]
    row, column = case.corner
    window = case.scene[row : row + height, column : column + width]
    for _ in range(200):
        if len(corners) == copies:
            return scene, corners
        place = int(rng.integers(scene.shape[0] - height)), int(rng.integers(scene.shape[1] - width))
        if all(abs(place[0] - other[0]) >= height or abs(place[1] - other[1]) >= width for other in corners):
            scene[place[0] : place[0] + height, place[1] : place[1] + width] = window
            corners.append(place)
    return None


def several(pictures, cases, rng):
    """Share of copies found and judged present, by how many there are; faint or far-off ones are not drawn."""
    found = {copies: [] for copies in COPIES}
    drawn = 0
    while drawn < cases:
        case = draw(pictures, "present", rng)
        scenes = [with_copies(case, copies, rng) for copies in COPIES] if case.level in (1, 2) else [None]
        if None in scenes:
            continue
        drawn += 1
        for copies, (scene, corners) in zip(COPIES, scenes, strict=True):
            scores = ccoeff_normed(scene, case.template)
            peaks = find_peaks(scores, case.template.shape, copies)
            present = [
                peak for peak, one in zip(peaks, judge(scores, peaks, case.template.shape), strict=True) if one.present
            ]
            found[copies] += [any(near(peak, corner) for peak in present) for corner in corners]
    return {copies: share(values) for copies, values in found.items()}


def limit_for(observed, measure):
    return float(np.quantile([one[measure] for one in observed if one["kind"] != "present"], 1 - LEVEL))


def show(name, summary):
    print(f"\n{name}")
    print(f"{'rule':<62}{'false alarms':>16}{'misses':>9}  by level")
    for rule, one in summary["rules"].items():
        alarms = "/".join(f"{value:.4f}" for value in one["false_alarms"].values())
        print(f"{rule:<62}{alarms:>16}{one['misses']:>9.3f}  {one['misses_by_level']}")
    print("calibration:", summary["calibration"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--cases", type=int, default=400, help="of each kind, in each half")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    pictures = photographs(options.data)
    halves = {"chosen on": dict(list(pictures.items())[0::2]), "reported on": dict(list(pictures.items())[1::2])}
    report = {"methods": {}}
    observed = {method: {half: [] for half in halves} for method in METHODS}
    for turn, (half, some) in enumerate(halves.items()):
        rng = np.random.default_rng([options.seed, turn])
        for kind in (*ABSENT, "present"):
            for _ in range(options.cases):
                case = draw(some, kind, rng)
                for method in METHODS:
                    observed[method][half].append(observe(case, method))
    for method, parts in observed.items():
        limits = {measure: limit_for(parts["chosen on"], measure) for measure in ("score", "psr")}
        summary = summarise(parts["reported on"], limits)
        show(method, summary)
        report["methods"][method] = {"reported on": summary}
    rng = np.random.default_rng([options.seed, 2])
    found = several(halves["reported on"], options.cases // 4, rng)
    print("\nshare of copies found present (ccoeff_normed, levels 1 and 2), by how many there are:", found)
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
