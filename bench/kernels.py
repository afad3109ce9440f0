"""Which kernel finds an object that is turned and scaled: plain, pyramid, harmonic, fractal, or a search.

The cases are those of bench/pose_cases.py, halved to 320x240 and 32x32 so that every pose can be tried. Those with even
numbers choose the parameters of fractal kernels and all thresholds; those with odd numbers are reported. A scene
without the object is another case's, made from other photographs.

Prints a table and writes bench/results/kernels.json.

    python bench/kernels.py                 # everything
    python bench/kernels.py --keep-shares   # all but the table's shares again, on an idle machine
"""

import argparse
import itertools
import json
import platform
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from pose_cases import PHOTOGRAPHS, PoseCase, photograph, pose_case, textured_places

from lab.kernels.discs import FLAT, disc_weights
from lab.kernels.fractal import fractal
from lab.kernels.harmonic import ORDERS, harmonic_scores
from lab.kernels.pyramid import pyramid_scores, scaled_copy
from scs.matching.posing.poses import pose_template
from scs.matching.posing.search import find_poses

RESULTS = Path(__file__).parent / "results" / "kernels.json"
COUNT = 300
SCALES = tuple(np.geomspace(0.5, 2, 9).tolist())
ANGLES = tuple(range(-180, 180, 10))
NEAR = 0.25  # of the object's side in the scene: how far from its centre counts as found
OVERLAP = 0.5  # intersection over union that counts as the same box
FALSE_ALARMS = 0.05
UPRIGHT = 15.0  # degrees
SAME_SIZE = 2**0.25
OPENCV_METHODS = tuple(
    f"TM_{name}" for name in ("SQDIFF", "SQDIFF_NORMED", "CCORR", "CCORR_NORMED", "CCOEFF", "CCOEFF_NORMED")
)
TURNED_PLACES, TURNED_ANGLES = 5, 8
TIMED_CASES = 3
TIMED_TURNS = 3

# Parameters of fractal kernels that are tried; a deeper ring of ratio 1 is the same average once more.
FRACTALS = tuple(
    {"depth": depth, "copies": copies, "ratio": ratio, "twist": twist}
    for depth, copies, ratio, twist in itertools.product((1, 2, 3), (3, 4, 6), (0.3, 0.5, 0.7), (0, 30))
) + tuple({"depth": 1, "copies": copies, "ratio": 1.0, "twist": 0} for copies in (3, 4, 6, 12))
TUNED_SLOWLY = FRACTALS[::9] + FRACTALS[-1:]  # where a case takes long


@dataclass(frozen=True)
class Found:
    """The best place of a scene: its score, centre, angle and scale."""

    score: float
    x: float
    y: float
    angle: float = 0.0
    scale: float = 1.0


class Spectra:
    """A scene's transforms, made once for all kernels."""

    def __init__(self, scene):
        planes = scene.reshape(*scene.shape[:2], -1).astype(np.float64)
        planes = planes - planes.mean((0, 1))
        self.shape = planes.shape[:2]
        self.size = tuple(cv2.getOptimalDFTSize(side) for side in self.shape)
        squares = np.square(planes).sum(2)
        self.mean_square = squares.mean()
        self.planes = [self.transform(plane) for plane in np.moveaxis(planes, 2, 0)]
        self.squares = self.transform(squares)

    def transform(self, plane):
        padded = np.zeros(self.size)
        padded[: plane.shape[0], : plane.shape[1]] = plane
        return cv2.dft(padded, nonzeroRows=plane.shape[0])

    def correlate(self, spectrum, kernel):
        return cv2.dft(cv2.mulSpectrums(spectrum, kernel, 0, conjB=True), flags=cv2.DFT_INVERSE | cv2.DFT_SCALE)

    def centred_cosine(self, kernel, weights):
        """Pearson's correlation under a weight for every pixel; 0 where a window is flat."""
        kernel = kernel.reshape(*kernel.shape[:2], -1).astype(np.float64)
        mass = weights.sum()
        kernel = kernel - (weights[..., None] * kernel).sum((0, 1)) / mass
        norm = np.sqrt((weights[..., None] * np.square(kernel)).sum())
        kernel *= weights[..., None]
        seen = self.transform(weights)
        energy = self.correlate(self.squares, seen)
        dot = 0
        for channel, plane in enumerate(self.planes):
            energy = energy - np.square(self.correlate(plane, seen)) / mass
            dot = dot + self.correlate(plane, self.transform(kernel[..., channel]))
        fits = np.s_[: self.shape[0] - kernel.shape[0] + 1, : self.shape[1] - kernel.shape[1] + 1]
        energy, dot = energy[fits], dot[fits]
        flat = energy <= FLAT * mass * self.mean_square
        if norm == 0:
            return np.zeros(dot.shape, np.float32)
        return np.where(flat, 0, dot / (norm * np.sqrt(np.where(flat, 1, energy)))).astype(np.float32)


def whole(kernel):
    return np.ones(kernel.shape[:2])


def disc(kernel):
    return disc_weights(*kernel.shape[:2])


def highest(scores, window, **pose):
    row, column = np.unravel_index(int(scores.argmax()), scores.shape)
    return Found(float(scores[row, column]), column + window[1] / 2, row + window[0] / 2, **pose)


def plain(scene, template, make=None):
    kernel = template if make is None else make(template)
    weights = whole(kernel) if make is None else disc(kernel)
    return highest(Spectra(scene).centred_cosine(kernel, weights), template.shape)


def pyramid(scene, template, make=None):
    spectra = Spectra(scene)

    def score(_, copy):
        kernel = copy if make is None else make(copy)
        return spectra.centred_cosine(kernel, whole(kernel) if make is None else disc(kernel))

    return at_its_scale(pyramid_scores(scene, template, SCALES, score))


def at_its_scale(pyramid):
    found = highest(pyramid.scores, pyramid.window)
    row, column = int(found.y - pyramid.window[0] / 2), int(found.x - pyramid.window[1] / 2)
    return replace(found, scale=float(pyramid.scales[row, column]))


def harmonic(scene, template):
    scores = harmonic_scores(scene, template)
    found = highest(scores.scores, template.shape)
    row, column = np.unravel_index(int(scores.scores.argmax()), scores.scores.shape)
    return replace(found, angle=float(scores.angles[row, column]))


def harmonic_pyramid(scene, template, make=None, orders=ORDERS):
    def kernel(copy):
        return copy if make is None else make(copy)

    def score(scene, copy):
        return harmonic_scores(scene, kernel(copy), orders).scores

    found = at_its_scale(pyramid_scores(scene, template, SCALES, score))
    copy = scaled_copy(template, found.scale)
    row, column = round(found.y - copy.shape[0] / 2), round(found.x - copy.shape[1] / 2)
    window = scene[row : row + copy.shape[0], column : column + copy.shape[1]]
    return replace(found, angle=float(harmonic_scores(window, kernel(copy), orders).angles[0, 0]))


def full_search(scene, template):
    spectra, best = Spectra(scene), Found(-1, 0, 0)
    for scale, angle in itertools.product(SCALES, ANGLES):
        posed = pose_template(template, angle, scale)
        height, width = posed.pixels.shape[:2]
        if height <= scene.shape[0] and width <= scene.shape[1]:
            scores = spectra.centred_cosine(posed.pixels, posed.weights[..., 0])
            found = highest(scores, (height, width), angle=angle, scale=scale)
            best = max(best, found, key=lambda one: one.score)
    return best


def search(scene, template):
    """The search that scs.matching makes, as it comes; without a match above its threshold the score is 0."""
    matches = find_poses(scene, template, angles="auto", scales="auto")
    return Found(**vars(matches[0])) if matches else Found(0, 0, 0)


def methods(chosen):
    """Every row of the table, with the parameters of fractal kernels that were chosen."""
    return {
        "plain": plain,
        "plain, disc": partial(plain, make=partial(fractal, depth=0)),
        "fractal": partial(plain, make=partial(fractal, **chosen["fractal"])),
        "pyramid": pyramid,
        "pyramid, disc": partial(pyramid, make=partial(fractal, depth=0)),
        "fractal pyramid": partial(pyramid, make=partial(fractal, **chosen["fractal pyramid"])),
        "harmonic": harmonic,
        "harmonic pyramid": harmonic_pyramid,
        "harmonic pyramid, orders 0-8": partial(harmonic_pyramid, orders=range(9)),
        "fractal harmonic pyramid": partial(
            harmonic_pyramid, make=partial(fractal, **chosen["fractal harmonic pyramid"])
        ),
        "full search": full_search,
        "find_poses": search,
    }


def halved(number):
    case = pose_case(number)
    sides = (case.scene.shape[1] // 2, case.scene.shape[0] // 2)
    return replace(
        case,
        template=cv2.resize(case.template, (32, 32), interpolation=cv2.INTER_AREA),
        scene=cv2.resize(case.scene, sides, interpolation=cv2.INTER_AREA),
        x=case.x / 2,
        y=case.y / 2,
    )


@cache
def case_of(number) -> PoseCase:
    return halved(number)


def scene_without(case, count):
    """The next case's scene of the same half that has nothing of this case's photograph."""
    for step in range(2, count, 2):
        other = case_of((case.number + step) % count)
        if case.photograph not in (other.photograph, other.surroundings):
            return other.scene
    raise ValueError(f"none of {count} cases is without {case.photograph}")


def distance(case, found):
    """Between centres, by the object's side in the scene."""
    return float(np.hypot(found.x - case.x, found.y - case.y) / (case.scale * case.template.shape[0]))


def box_overlap(case, found):
    """Intersection over union of the turned boxes."""
    side = case.template.shape[0]
    boxes = [((one.x, one.y), (side * one.scale, side * one.scale), -one.angle) for one in (case, found)]
    points = cv2.rotatedRectangleIntersection(*boxes)[1]
    shared = 0.0 if points is None else cv2.contourArea(cv2.convexHull(points))
    return shared / (side**2 * (case.scale**2 + found.scale**2) - shared)


def try_fractal(number, kind, parameters):
    """Whether a fractal kernel finds the object of a case."""
    case = case_of(number)
    method = {"fractal": plain, "fractal pyramid": pyramid, "fractal harmonic pyramid": harmonic_pyramid}[kind]
    found = method(case.scene, case.template, make=partial(fractal, **parameters))
    return distance(case, found) <= NEAR


def try_fractals(number, kind, sets):
    return [try_fractal(number, kind, parameters) for parameters in sets]


def try_methods(number, chosen, count):
    """What each method answers with and without the object."""
    case, absent = case_of(number), scene_without(case_of(number), count)
    results = {}
    for name, method in methods(chosen).items():
        found = method(case.scene, case.template)
        results[name] = {
            "score": found.score,
            "distance": distance(case, found),
            "overlap": box_overlap(case, found),
            "score_without": method(absent, case.template).score,
        }
    return {"number": number, "angle": case.angle, "scale": case.scale, "methods": results}


def tune(pool, count):
    """Choose the fractal parameters that find most on the even cases."""
    chosen, tried = {}, {}
    for kind, sets, step in (
        ("fractal", FRACTALS, 2),
        ("fractal pyramid", FRACTALS, 4),
        ("fractal harmonic pyramid", TUNED_SLOWLY, 8),
    ):
        numbers = range(0, count, step)
        shares = np.mean(list(pool.map(partial(try_fractals, kind=kind, sets=sets), numbers)), axis=0)
        order = np.argsort(-shares, kind="stable")
        chosen[kind] = sets[order[0]]
        tried[kind] = [{**sets[index], "found": round(float(shares[index]), 4)} for index in order]
        print(f"{kind}: best of {len(sets)} sets on {len(numbers)} cases {tried[kind][0]}", flush=True)
    return chosen, tried


def shares(cases, name, threshold):
    """Share found above a threshold, and share of scenes without the object above it."""
    rows = [case["methods"][name] for case in cases]
    hits = np.mean([row["distance"] <= NEAR and row["score"] > threshold for row in rows])
    alarms = np.mean([row["score_without"] > threshold for row in rows])
    return float(hits), float(alarms)


def thresholds(cases, name):
    """The threshold of the best Youden index, and the one that lets through the share of false alarms."""
    rows = [case["methods"][name] for case in cases]
    every = sorted({row["score"] for row in rows} | {row["score_without"] for row in rows})
    youden = max(every, key=lambda one: np.subtract(*shares(cases, name, one)))
    return youden, float(np.quantile([row["score_without"] for row in rows], 1 - FALSE_ALARMS))


def summary(cases, name):
    tuning, report = cases[::2], cases[1::2]
    rows = [case["methods"][name] for case in report]
    found = np.array([row["distance"] <= NEAR for row in rows])
    upright = np.array([abs(case["angle"]) <= UPRIGHT for case in report])
    same_size = np.array([1 / SAME_SIZE <= case["scale"] <= SAME_SIZE for case in report])
    youden, strict = thresholds(tuning, name)
    numbers = {
        "found": found.mean(),
        "found_interval": interval(found),
        "overlap": np.mean([row["overlap"] >= OVERLAP for row in rows]),
        "found_upright": found[upright].sum() / max(1, upright.sum()),
        "found_same_size": found[same_size].sum() / max(1, same_size.sum()),
        "youden": {"threshold": youden, **named(shares(report, name, youden))},
        "strict": {"threshold": strict, **named(shares(report, name, strict))},
    }
    return {"method": name, **rounded(numbers), "upright": int(upright.sum()), "same_size": int(same_size.sum())}


def named(pair):
    return {"found": pair[0], "false_alarms": pair[1]}


def interval(found):
    """Wilson's 95 % interval of a share."""
    n, share, z = len(found), found.mean(), 1.96
    middle, half = share + z * z / (2 * n), z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return [(middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)]


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return round(float(value), 4)


def times(chosen, count):
    """Milliseconds a scene of each method, all in turn so that a busy moment falls on all."""
    kept = {name: [] for name in methods(chosen)}
    for turn, number in itertools.product(range(TIMED_TURNS), range(TIMED_CASES)):
        case = case_of(number % count)
        for name, method in methods(chosen).items():
            start = time.perf_counter()
            method(case.scene, case.template)
            if turn or name == "full search":  # the first turn warms up
                kept[name].append(1000 * (time.perf_counter() - start))
    return {name: round(statistics.median(values), 1) for name, values in kept.items()}


def opencv_methods(chosen, count):
    """Share found by OpenCV's own six methods with a plain, a pyramid and a fractal kernel."""

    def scorer(method):
        sign = -1 if "SQDIFF" in method else 1

        def score(scene, kernel):
            scores = cv2.matchTemplate(np.float32(scene), np.float32(kernel), getattr(cv2, method))
            return np.nan_to_num(sign * scores, nan=-np.inf)

        return score

    def fractalised(template):
        """As bright and as contrasted as its template is: half of the methods compare that, too."""
        kernel = fractal(template, **chosen)[..., 0]
        return template.mean() + template.std() * kernel / kernel.std()

    kernels = {
        "plain": lambda case, score: highest(score(case.scene, case.template), case.template.shape),
        "fractal": lambda case, score: highest(score(case.scene, fractalised(case.template)), case.template.shape),
        "pyramid": lambda case, score: at_its_scale(pyramid_scores(case.scene, case.template, SCALES, score)),
    }
    cases = [case_of(number) for number in range(1, count, 2)]
    found = {
        name: {
            method: np.mean([distance(case, kernel(case, scorer(method))) <= NEAR for case in cases])
            for method in OPENCV_METHODS
        }
        for name, kernel in kernels.items()
    }
    print("\n% found by OpenCV's methods" + "".join(f"{method[3:].lower():>15}" for method in OPENCV_METHODS))
    for name, row in found.items():
        print(f"{name:<26}" + "".join(f"{100 * value:>15.1f}" for value in row.values()))
    return rounded(found)


def turned():
    """What a turn of the scene changes: each kernel's score at the object, by its score without a turn."""
    random = np.random.default_rng(0)
    kernels = {
        "plain, disc": lambda window, kernel: Spectra(window).centred_cosine(kernel, disc(kernel)),
        "fractal, ring of 6 at the centre": lambda window, kernel: Spectra(window).centred_cosine(
            fractal(kernel, depth=1, copies=6, ratio=1.0), disc(kernel)
        ),
        **{
            f"harmonic, {name}": partial(by_harmonics, orders=orders)
            for name, orders in (("order 1", [1]), ("order 2", [2]), ("order 3", [3]), ("orders 0-16", ORDERS))
        },
    }
    ratios = {name: [] for name in kernels}
    for name, _ in itertools.product(PHOTOGRAPHS, range(TURNED_PLACES)):
        window = turnable(name, random)
        upright = middle(window)
        turns = [middle(turn(window, angle)) for angle in random.uniform(-180, 180, TURNED_ANGLES)]
        for kernel, score in kernels.items():
            first = float(score(upright, upright)[0, 0])
            ratios[kernel].append([float(score(one, upright)[0, 0]) / first for one in turns])
    summary = {
        name: {"median": np.median(values), "lowest": np.min(values), "highest": np.max(values)}
        for name, values in ratios.items()
    }
    print("\nscore at the object in a turned scene by that in the upright one: median, lowest, highest")
    for name, numbers in summary.items():
        print(f"{name:<36}" + "".join(f"{value:>8.3f}" for value in numbers.values()))
    return rounded(summary)


def by_harmonics(window, kernel, orders):
    return harmonic_scores(window, kernel, orders).scores


def turnable(name, random):
    """Draw a square of a photograph; its middle, a textured place, sees nothing else however the square is turned."""
    picture = photograph(name)
    rows, columns = textured_places(name, (64, 64))
    margin = 16  # half of the diagonal of 64x64 is 46
    inside = (rows >= margin) & (columns >= margin)
    inside &= (rows + 64 + margin <= picture.shape[0]) & (columns + 64 + margin <= picture.shape[1])
    place = random.choice(np.flatnonzero(inside))
    row, column = rows[place] - margin, columns[place] - margin
    return picture[row : row + 64 + 2 * margin, column : column + 64 + 2 * margin]


def turn(window, angle):
    centre = ((window.shape[1] - 1) / 2, (window.shape[0] - 1) / 2)
    return cv2.warpAffine(window, cv2.getRotationMatrix2D(centre, angle, 1), window.shape[::-1], flags=cv2.INTER_CUBIC)


def middle(window):
    return window[16:-16, 16:-16]


def show(report):
    print(
        f"\n{'% of scenes, on the odd cases':<30}{'found':>7}{'IoU':>7}{'upright':>9}{'same size':>11}"
        f"{'Youden: found, alarms':>24}{'strict: found, alarms':>24}{'ms':>9}"
    )
    for row in report["methods"]:
        pairs = "".join(
            f"{100 * row[key]['found']:>17.1f}{100 * row[key]['false_alarms']:>7.1f}" for key in ("youden", "strict")
        )
        print(
            f"{row['method']:<30}{100 * row['found']:>7.1f}{100 * row['overlap']:>7.1f}"
            f"{100 * row['found_upright']:>9.1f}{100 * row['found_same_size']:>11.1f}{pairs}"
            f"{report['milliseconds'][row['method']]:>9.1f}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=COUNT, help="cases (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--keep-shares", action="store_true", help="keep the shares of the last run, measure the rest")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.keep_shares:
        report = json.loads(RESULTS.read_text())
    else:
        with ProcessPoolExecutor(options.workers, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
            chosen, tried = tune(pool, options.count)
            work = partial(try_methods, chosen=chosen, count=options.count)
            cases = list(pool.map(work, range(options.count)))
        report = {
            "versions": {"python": platform.python_version(), "numpy": np.__version__, "opencv": cv2.__version__},
            "cases": options.count,
            "scene": [240, 320],
            "template": [32, 32],
            "scales": rounded(list(SCALES)),
            "angles": len(ANGLES),
            "fractals_chosen": chosen,
            "fractals_tried": tried,
            "methods": [summary(cases, name) for name in methods(chosen)],
        }
    report["milliseconds"] = times(report["fractals_chosen"], options.count)
    report["turned"] = turned()
    report["opencv_methods"] = opencv_methods(report["fractals_chosen"]["fractal"], options.count)
    show(report)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
