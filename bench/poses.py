"""How well and how fast a turned and scaled template is found: scs.matching.posing.search, and peers on the same cases.

The cases are those of bench/pose_cases.py. The peers are OpenCV's SIFT and ORB with a similarity fitted by RANSAC, and
the full search: the template posed in every angle and scale and compared everywhere, with its mask. Its time is that of
OpenCV's matchTemplate. What it finds and the search does not is counted on cases of half the size, for it takes long.

Prints tables and writes bench/results/poses.json. Needs scikit-image.

    python bench/poses.py
    python bench/poses.py --cases 40 --full 2       # sooner
    python bench/poses.py --data ../shared/data     # with the Oxford photographs in its folder boat/, as well
"""

import argparse
import json
import math
import statistics
import time
from pathlib import Path

import cv2
import numpy as np
from pose_cases import MINIMUM_EIGENVALUE, pose_case, pose_cases, smallest_eigenvalues

from scs.matching.finding import Search, find
from scs.matching.posing.poses import angle_steps, fitting_angles, fitting_scales, pose_template, scale_steps
from scs.matching.posing.search import find_poses
from scs.matching.scores import score_map

RESULTS = Path(__file__).parent / "results" / "poses.json"
TOLERANCES = {"centre_px": 2.0, "angle_deg": 1.0, "scale": 0.02}
WARM_UP = 3
USUAL = 0.8  # a threshold that people take
TIMED = 60  # cases, in turns with the peers
SAMPLED_POSES = 60  # of the full search at full size, from which its time is reckoned
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
AS_GOOD = 0.02  # by which a match may score below that of the full search and still be the same
OTHER_SHAPES = {
    "16x16": {"template": (16, 16)},
    "32x32": {"template": (32, 32)},
    "32x96": {"template": (32, 96)},
    "128x128": {"template": (128, 128)},
    "64x64, colour": {"colour": True},
    "64x64 in 4 megapixels": {"scene": (1732, 2309)},
}
DETECTORS = {
    "SIFT": (cv2.SIFT_create, cv2.NORM_L2),
    "ORB": (lambda: cv2.ORB_create(5000, edgeThreshold=4, fastThreshold=5), cv2.NORM_HAMMING),
}


def product(scene, template, **options):
    return find_poses(scene, template, angles="-180:180", scales="0.5:2", **options)


def search(scene, template):
    """Pose of the best match: x, y, angle, scale; None if there is none."""
    found = product(scene, template)
    return (found[0].x, found[0].y, found[0].angle, found[0].scale) if found else None


def by_keypoints(name):
    """Peer: keypoints and their descriptors in both pictures, the ratio test, a similarity by RANSAC."""
    create, norm = DETECTORS[name]
    detector, matcher = create(), cv2.BFMatcher(norm)

    def locate(scene, template):
        seen, seen_words = detector.detectAndCompute(scene, None)
        sought, sought_words = detector.detectAndCompute(template, None)
        if len(seen) < 2 or len(sought) < 2:
            return None
        pairs = [pair for pair in matcher.knnMatch(sought_words, seen_words, 2) if len(pair) == 2]
        good = [first for first, second in pairs if first.distance < 0.8 * second.distance]
        if len(good) < 2:
            return None
        source = np.array([sought[match.queryIdx].pt for match in good])
        target = np.array([seen[match.trainIdx].pt for match in good])
        matrix, _ = cv2.estimateAffinePartial2D(source, target, ransacReprojThreshold=3.0)
        if matrix is None:
            return None
        height, width = template.shape[:2]
        x, y = matrix @ (width / 2 - 0.5, height / 2 - 0.5, 1) + 0.5
        angle = math.degrees(math.atan2(matrix[0, 1], matrix[0, 0]))
        return x, y, angle, math.hypot(matrix[0, 0], matrix[0, 1])

    return locate


def errors(pose, case):
    """Distances from the true pose: pixels, degrees, and the scale's as a share of it."""
    if pose is None:
        return math.inf, math.inf, math.inf
    x, y, angle, scale = pose
    turn = (angle - case.angle + 180) % 360 - 180
    return math.hypot(x - case.x, y - case.y), abs(turn), abs(scale / case.scale - 1)


def summary(rows):
    """Shares within tolerance, each and together, and medians, of rows of three errors."""
    rows = np.nan_to_num(np.array(rows), nan=np.inf)
    within = rows <= tuple(TOLERANCES.values())
    low, high = interval(int(within.all(1).sum()), len(rows))
    return {
        "found": round(float(within.all(1).mean()), 4),
        "interval_95": [round(low, 4), round(high, 4)],
        **{f"within_{name}": round(float(share), 4) for name, share in zip(TOLERANCES, within.mean(0), strict=True)},
        **{f"median_{name}": rounded(error) for name, error in zip(TOLERANCES, np.median(rows, 0), strict=True)},
    }


def interval(hits, trials):
    """Wilson's interval of a share, 95%."""
    z = 1.96
    centre = (hits + z * z / 2) / (trials + z * z)
    half = z / (trials + z * z) * math.sqrt(hits * (trials - hits) / trials + z * z / 4)
    return max(0.0, centre - half), min(1.0, centre + half)


def rounded(error):
    return round(float(error), 5) if math.isfinite(error) else None


def accuracy(count, seed):
    """Every method on every case."""
    methods = {"search": search, **{name: by_keypoints(name) for name in DETECTORS}}
    rows = {name: [] for name in methods}
    for case in pose_cases(count, seed):
        for name, locate in methods.items():
            rows[name].append(errors(locate(case.scene, case.template), case))
    results = {name: summary(found) for name, found in rows.items()}
    print(f"{count} cases of 64x64 in 640x480{'found':>12}{'2 px':>9}{'1 deg':>9}{'2%':>9}   median errors")
    for name, result in results.items():
        shares = [result["found"], *(result[f"within_{key}"] for key in TOLERANCES)]
        medians = [result[f"median_{key}"] for key in TOLERANCES]
        print(f"{name:<32}" + "".join(f"{share:>9.1%}" for share in shares) + f"   {medians}", flush=True)
    return results


def speed(count, seed):
    """Times of the search and its peers, in turns on the same cases."""
    methods = {"search": search, **{name: by_keypoints(name) for name in DETECTORS}}
    times = {name: [] for name in methods}
    for turn in range(WARM_UP + count):
        case = pose_case(max(turn - WARM_UP, 0), seed)
        for name, locate in methods.items():
            start = time.perf_counter()
            locate(case.scene, case.template)
            if turn >= WARM_UP:
                times[name].append(1000 * (time.perf_counter() - start))
    for name, taken in times.items():
        low, middle, high = statistics.quantiles(taken, n=4)
        print(f"{name:<12}{middle:>9.1f} ms ({low:.1f}-{high:.1f})", flush=True)
    return {name: {"median_ms": round(statistics.median(taken), 1)} for name, taken in times.items()}


def quarter_size(scene, template):
    """Peer: what people write, OpenCV on a quarter of the size with the template turned by 5 degrees at a time."""
    scene, template = (
        cv2.resize(each, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA) for each in (scene, template)
    )
    height, width = template.shape
    best = -math.inf, 0.0, 0.0, 0
    for angle in range(0, 360, 5):
        matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), angle, 1)
        turned = cv2.warpAffine(template, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
        _, score, _, (column, row) = cv2.minMaxLoc(cv2.matchTemplate(scene, turned, cv2.TM_CCOEFF_NORMED))
        best = max(best, (score, 4 * (column + width / 2), 4 * (row + height / 2), angle))
    _, x, y, angle = best
    return x, y, angle, 1.0


def turned(count, seed):
    """Processor time of the search and of a quarter-size loop: 96x96 pixels, turned in any way, in 2.5 megapixels."""
    found, times = {"search": [], "quarter size": []}, {"search": [], "quarter size": []}

    def ours(scene, template):
        match = find_poses(scene, template, angles="0:360")[0]
        return match.x, match.y, match.angle, match.scale

    for number in range(WARM_UP + count):
        case = pose_case(max(number - WARM_UP, 0), seed, template=(96, 96), scene=(1280, 1920), scales=(1.0, 1.0))
        for name, locate in (("search", ours), ("quarter size", quarter_size)):
            start = time.process_time()
            pose = locate(case.scene, case.template)
            if number >= WARM_UP:
                times[name].append(1000 * (time.process_time() - start))
                found[name].append(errors(pose, case))
    ratios = np.divide(*times.values())
    result = {
        "ratio": {
            "median": round(float(np.median(ratios)), 2),
            "quartiles": np.percentile(ratios, (25, 75)).round(2).tolist(),
        }
    }
    for name, rows in found.items():
        near = np.array(rows)
        result[name] = {
            "cases": count,
            "within_5_px_and_5_deg": round(float((near[:, :2] <= 5).all(1).mean()), 4),
            "found": summary(rows)["found"],
            "median_cpu_ms": round(statistics.median(times[name]), 1),
        }
    print(f"turned in 2.5 megapixels: {result}", flush=True)
    return result


def all_poses(template):
    """Every angle and scale that the full search goes through: a pixel's step at the template's rim."""
    radius = math.hypot(*template.shape[:2]) / 2
    angles = fitting_angles(angle_steps("-180:180"), radius)
    return [(angle, scale) for scale in fitting_scales(scale_steps("0.5:2"), radius) for angle in angles]


def posed(case, angle, scale):
    """The template in a pose, and its mask; None if that is larger than the scene."""
    there = pose_template(case.template, angle, scale)
    if there.box.rows > case.scene.shape[0] or there.box.columns > case.scene.shape[1]:
        return None
    return there.pixels[..., 0], there.weights[..., 0]


def full_time(seed):
    """How long the full search would take at full size, from a sample of its poses."""
    case = pose_case(0, seed)
    scene = case.scene.astype(np.float32)
    poses = all_poses(case.template)
    sample = poses[:: len(poses) // SAMPLED_POSES]
    start = time.perf_counter()
    for angle, scale in sample:
        template, mask = posed(case, angle, scale)
        cv2.matchTemplate(scene, template, cv2.TM_CCOEFF_NORMED, mask=mask)
    seconds = (time.perf_counter() - start) / len(sample) * len(poses)
    print(
        f"full search, 64x64 in 640x480: {len(poses)} poses, about {seconds:.0f} s, reckoned from {len(sample)} of them"
    )
    return {"poses": len(poses), "seconds": round(seconds, 1), "sampled": len(sample)}


def full_search(case):
    """Matches of the full search, best first: x, y, scale, score.

    A match is the highest within half of the template's side, as the search has it; the flank of a higher one that lies
    further off is none.
    """
    scene = case.scene.astype(np.float32)
    best, scales, turns = np.zeros((3, *scene.shape), np.float32)
    for angle, scale in all_poses(case.template):
        there = posed(case, angle, scale)
        if there is None:
            continue
        scores = cv2.matchTemplate(scene, there[0], cv2.TM_CCOEFF_NORMED, mask=there[1])
        row, column = ((side - part) // 2 for side, part in zip(scene.shape, scores.shape, strict=True))
        centres = (slice(row, row + scores.shape[0]), slice(column, column + scores.shape[1]))
        better = np.isfinite(scores) & (scores < 1.001) & (scores > best[centres])
        for kept, values in ((best, scores), (scales, scale), (turns, angle)):
            kept[centres][better] = values[better] if values is scores else values
    matches = []
    for row, column in zip(*np.nonzero(best >= THRESHOLDS[0]), strict=True):
        reach = math.floor(0.5 * min(case.template.shape) * scales[row, column])
        around = best[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1]
        if best[row, column] == around.max() and is_real(case, row, column, turns, scales, best):
            matches.append((column + 0.5, row + 0.5, scales[row, column], best[row, column]))
    return np.array(sorted(matches, key=lambda match: -match[3]))


def is_real(case, row, column, turns, scales, best):
    """Whether a score is not OpenCV's alone: what rounding leaves of a flat window scores anything up to 1 there."""
    template, mask = posed(case, float(turns[row, column]), float(scales[row, column]))
    height, width = template.shape
    top, left = row - (height - 1) // 2, column - (width - 1) // 2
    window = case.scene[top : top + height, left : left + width].astype(np.float32)
    exact = score_map(window, template, mask=mask).scores[0, 0] if window.shape == template.shape else 0
    return abs(exact - best[row, column]) < AS_GOOD


def misses(count, seed):
    """Of the full search's matches above each threshold, how many the search has nothing as good for at their place."""
    tally = {threshold: [0, 0] for threshold in THRESHOLDS}
    best_missed = 0
    for number in range(count):
        case = pose_case(number, seed, template=(32, 32), scene=(240, 320))
        full = full_search(case)
        best = product(case.scene, case.template)
        best_missed += int(not best or best[0].score < full[0, 3] - AS_GOOD)
        for threshold in THRESHOLDS:
            found = product(case.scene, case.template, threshold=threshold, top=1000)
            places = np.array([(match.x, match.y, match.scale, match.score) for match in found]).reshape(-1, 4)
            for x, y, scale, score in full[full[:, 3] >= threshold]:
                reach = 0.5 * min(case.template.shape) * np.maximum(places[:, 2], scale)
                near = np.hypot(places[:, 0] - x, places[:, 1] - y) < reach
                tally[threshold][0] += 1
                tally[threshold][1] += int(not (near & (places[:, 3] >= score - AS_GOOD)).any())
    print(f"full search, 32x32 in 320x240: {best_missed} of {count} best matches missed")
    for threshold, (matches, missed) in tally.items():
        print(f"  above {threshold}: {missed} of {matches} matches missed", flush=True)
    counted = {str(threshold): {"matches": all_, "missed": missed} for threshold, (all_, missed) in tally.items()}
    return {"cases": count, "best_missed": best_missed, "above": counted}


def other_shapes(count, seed):
    results = {}
    for name, options in OTHER_SHAPES.items():
        rows = [errors(search(case.scene, case.template), case) for case in pose_cases(count, seed, **options)]
        results[name] = {"cases": count, "found": summary(rows)["found"]}
        print(f"{name:<24}{results[name]['found']:>9.1%}", flush=True)
    return results


def presence(count):
    """Whether a template is said to be present only where it is, beside a threshold on the score.

    In scenes without it, each template is looked for in the scene of another photograph.
    """
    cases = list(pose_cases(count, seed=1))
    found = {"with": [], "without": []}
    for number, case in enumerate(cases):
        others = (cases[(number + step) % count] for step in range(1, count))
        other = next(one for one in others if case.photograph not in (one.photograph, one.surroundings))
        for name, scene in (("with", case.scene), ("without", other.scene)):
            matches = find(scene, [case.template], Search(angles="-180:180", scales="0.5:2")).matches
            found[name].append((matches[0].score, matches[0].present) if matches else (0.0, False))
    shares = {
        "missed": share(not present for _, present in found["with"]),
        "false_alarms": share(present for _, present in found["without"]),
        "usual_missed": share(score < USUAL for score, _ in found["with"]),
        "usual_false_alarms": share(score >= USUAL for score, _ in found["without"]),
    }
    print(f"present, {count} scenes with and as many without: {shares}", flush=True)
    return shares


def share(flags):
    return round(float(np.mean(list(flags))), 4)


def boat(folder):
    """Templates on a grid of the first Oxford photograph, looked for in the second, third and fourth."""
    first = cv2.imread(str(folder / "img1.pgm"), cv2.IMREAD_GRAYSCALE)
    results = {}
    for number in (2, 3, 4):
        scene = cv2.imread(str(folder / f"img{number}.pgm"), cv2.IMREAD_GRAYSCALE)
        homography = np.loadtxt(folder / f"H1to{number}p")
        for side in (64, 96):
            rows = [errors(search(scene, case.template), case) for case in boat_cases(first, scene, homography, side)]
            near = float(np.mean([away <= 5 for away, _, _ in rows]))
            shares = {key: share for key, share in summary(rows).items() if key == "found" or key.startswith("median")}
            result = {"cases": len(rows), "within_5_px": round(near, 4), **shares}
            results[f"image {number}, {side}x{side}"] = result
            print(f"boat 1 to {number}, {side}x{side}: {result}", flush=True)
    return results


class BoatCase:
    """A template of the first photograph and its pose in another, by the homography around its centre."""

    def __init__(self, template, homography, x, y):
        self.template = template
        self.x, self.y = project(homography, x, y)
        ahead, below = project(homography, x + 0.5, y), project(homography, x, y + 0.5)
        behind, above = project(homography, x - 0.5, y), project(homography, x, y - 0.5)
        across, down = np.subtract(ahead, behind), np.subtract(below, above)
        self.scale = math.sqrt(abs(across[0] * down[1] - across[1] * down[0]))
        self.angle = math.degrees(math.atan2(down[0] - across[1], across[0] + down[1]))


def project(homography, x, y):
    """Map a point; the homographies count from the middle of the first pixel, this project from its corner."""
    u, v, w = homography @ (x - 0.5, y - 0.5, 1)
    return u / w + 0.5, v / w + 0.5


def boat_cases(first, scene, homography, side):
    textured = smallest_eigenvalues(first.astype(np.float32), (side, side)) >= MINIMUM_EIGENVALUE
    for row in range(0, first.shape[0] - side + 1, side):
        for column in range(0, first.shape[1] - side + 1, side):
            ends = [project(homography, column + i, row + j) for i in (0, side) for j in (0, side)]
            inside = all(0 <= x <= scene.shape[1] and 0 <= y <= scene.shape[0] for x, y in ends)
            if textured[row, column] and inside:
                template = first[row : row + side, column : column + side]
                yield BoatCase(template, homography, column + side / 2, row + side / 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=400)
    parser.add_argument("--full", type=int, default=12, help="cases on which the full search runs")
    parser.add_argument("--others", type=int, default=20, help="cases of each other size")
    parser.add_argument("--presence", type=int, default=120, help="cases with the object, and as many without")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, help="folder that holds boat/")
    parser.add_argument(
        "--only", nargs="+", metavar="SECTION", help="measure these and keep what is known of the others"
    )
    arguments = parser.parse_args()
    sections = {
        "speed": lambda: speed(min(TIMED, arguments.cases), arguments.seed),
        "accuracy": lambda: accuracy(arguments.cases, arguments.seed),
        "turned": lambda: turned(min(TIMED, arguments.cases), arguments.seed),
        "full_search_time": lambda: full_time(arguments.seed),
        "misses": lambda: misses(arguments.full, arguments.seed),
        "other_shapes": lambda: other_shapes(arguments.others, arguments.seed),
        "presence": lambda: presence(arguments.presence),
    }
    if arguments.data:
        sections["boat"] = lambda: boat(arguments.data / "boat")
    results = {name: section() for name, section in sections.items() if name in (arguments.only or sections)}
    known = json.loads(RESULTS.read_text()) if arguments.only and RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(known | results, indent=1) + "\n")


if __name__ == "__main__":
    main()
