"""Accuracy of finding the thing in a box of one video frame in a later frame: parts, features, layers, OpenCV.

The pairs are those of the Best-Buddies benchmark: files ``*_frm1_*`` and ``*_frm2_*``, a picture and a box
``x,y,w,h`` each (1-based), two by two in the order of their names. A predicted box has the template's own size. The
measure is the mean, over the thresholds 0, .05, ... .95, of the share of the pairs whose intersection over union with
the true box exceeds the threshold; with its bootstrap interval, drawn by sequence, for pairs of one sequence are alike.

Rows ``features NETWORK`` and ``parts NETWORK`` are what ``POST /match`` answers with these methods and that model, the
box being one of a reference picture; their time is what comes after the network. Networks of ``--repository`` are
measured beside the bundled ones, efficientnet-lite0 say: ``scs import efficientnet-lite0 --repository my-models``.

The parameters of ``parts`` and of ``features`` were chosen on every second sequence, by name ("chosen on"); the others
("held out") were looked at afterwards. Prints a table and writes bench/results/bbs.json. Needs the data set.

    python bench/bbs.py --data ../shared/data/bbs --repository my-models
    python bench/bbs.py --data ../shared/data/bbs --only parts --half "held out"
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from models.cards.catalogue import bundled_repository, find, names
from models.runtime.load import load_model
from scs.matching.deformable.parts import PartsTemplate, parts_map
from service.api.files import MatchUpload, NamedBytes
from service.api.match import MatchOptions
from service.cli.local_models import open_model
from service.pictures.npy import to_npy
from service.pictures.picture import Region
from service.settings import Settings
from service.tasks.activations import feature_match
from service.tasks.match.in_network import find_in_network

RESULTS = Path(__file__).parent / "results" / "bbs.json"
THRESHOLDS = np.arange(20) * 0.05 + 1e-6
DRAWS = 2000
HALVES = ("both", "chosen on", "held out")
OPENCV = {name.removeprefix("TM_").lower(): getattr(cv2, name) for name in (
    "TM_SQDIFF", "TM_SQDIFF_NORMED", "TM_CCORR", "TM_CCORR_NORMED", "TM_CCOEFF", "TM_CCOEFF_NORMED"
)}  # fmt: skip
NETWORKS = ("cifar10-scs", "cifar10-conv")


class Frame(NamedTuple):
    sequence: str
    pixels: np.ndarray  # (H, W, 3), RGB
    box: tuple[float, float, float, float]  # x, y, width, height; pixel i covers [i, i + 1)


def read_frames(folder):
    """All frames in the order of their names: one after the other, two make a pair."""
    pictures, boxes = sorted(folder.glob("*.jpg")), sorted(folder.glob("*.txt"))
    if not pictures or len(pictures) != len(boxes) or len(pictures) % 2:
        raise SystemExit(f"{folder} needs pairs of a .jpg and a .txt each; it has {len(pictures)} and {len(boxes)}")
    return [read_frame(*paths) for paths in zip(pictures, boxes, strict=True)]


def read_frame(picture, box):
    x, y, width, height = (float(number) for number in box.read_text().split(","))
    return Frame("_".join(picture.stem.split("_")[2:-1]), cv2.imread(picture, cv2.IMREAD_COLOR_RGB),
                 (x - 1, y - 1, width, height))  # fmt: skip


def whole_pixels(box, shape):
    """The box in whole pixels, inside a picture of that shape."""
    width, height = (min(max(1, round(side)), limit) for side, limit in zip(box[2:], shape[1::-1], strict=True))
    x, y = (round(min(max(0, at), limit)) for at, limit in ((box[0], shape[1] - width), (box[1], shape[0] - height)))
    return x, y, width, height


def intersection_over_union(one, other):
    across, down = (max(0.0, min(one[k] + one[k + 2], other[k] + other[k + 2]) - max(one[k], other[k])) for k in (0, 1))
    shared = across * down
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


def area_under_curve(overlaps):
    """Mean of the success rates at the first twenty thresholds."""
    return float((np.asarray(overlaps)[:, None] >= THRESHOLDS).mean())


def interval(overlaps, sequences):
    """Where 95% of the areas lie when sequences are drawn anew, with replacement."""
    random = np.random.default_rng(0)
    groups = [np.flatnonzero(np.asarray(sequences) == name) for name in sorted(set(sequences))]
    areas = [
        area_under_curve(overlaps[np.concatenate([groups[k] for k in random.integers(0, len(groups), len(groups))])])
        for _ in range(DRAWS)
    ]
    return [round(float(edge), 3) for edge in np.quantile(areas, (0.025, 0.975))]


def corner_of_peak(scores):
    row, column = np.unravel_index(int(scores.argmax()), scores.shape)
    return float(column), float(row)


def by_opencv(method, sharpen=False):
    """OpenCV's best place; sharpened cosines with q = 0 are powers of its normalised products."""
    sign = -1 if method in (cv2.TM_SQDIFF, cv2.TM_SQDIFF_NORMED) else 1

    def locate(reference, box, scene):
        x, y, width, height = box
        scores = sign * cv2.matchTemplate(scene, reference[y : y + height, x : x + width], method)
        return corner_of_peak(np.copysign(scores**2, scores) if sharpen else scores)

    return locate


def by_parts(reference, box, scene):
    x, y, width, height = box
    return corner_of_peak(parts_map(scene, reference[y : y + height, x : x + width]))


def by_parts_with_reference(reference, box, scene):
    return corner_of_peak(parts_map(scene, PartsTemplate.from_box(reference, box)))


def by_layer(model, layer):
    """As ``POST /activations`` does: the template's features are cut out of the maps of the picture that it is in."""

    def locate(reference, box, scene):
        height, width = scene.shape[:2]
        seen, known = (model.layers(picture[None], [layer.name])[layer.name][0] for picture in (scene, reference))
        template = feature_match.template_from_box(known, layer.receptive_field, Region(*box))
        peaks = feature_match.match(seen, layer, template, Region(0, 0, width, height), 1).peaks
        return (peaks[0][0].x, peaks[0][0].y) if peaks else (0.0, 0.0)

    return locate


def by_network(model, method):
    """As ``POST /match`` does it with a model; returns the milliseconds after the network, too."""

    def locate(reference, box, scene):
        files = [NamedBytes(f"{name}.npy", to_npy(pixels), is_npy=True)
                 for name, pixels in (("scene", scene), ("reference", reference))]  # fmt: skip
        options = MatchOptions(method=method, top=1, box=",".join(map(str, box)))
        found = find_in_network(model, MatchUpload(files[0], reference=files[1]), options, Settings(device="cpu"))
        best = found.matches[0] if found.matches else None
        corner = (0.0, 0.0) if best is None else (best.x - box[2] / 2, best.y - box[3] / 2)
        return *corner, found.match_ms

    return locate


def networks(repository):
    """The bundled networks, and those of another repository, by name."""
    yield from ((name, bundled_repository()) for name in NETWORKS)
    if repository is not None:
        yield from ((name, repository) for name in names(repository))


def methods(repository):
    """Every method by its name: a function of a reference picture, a box in it and a scene, to the corner it finds."""
    yield from ((f"opencv {name}", by_opencv(code)) for name, code in OPENCV.items())
    yield "scs", by_opencv(cv2.TM_CCORR_NORMED, sharpen=True)
    yield "scs_centred", by_opencv(cv2.TM_CCOEFF_NORMED, sharpen=True)
    for name in NETWORKS:
        entry = find(bundled_repository(), name)
        card = entry.card()
        model = load_model(entry.verified_bytes(), card, "cpu")
        yield from ((f"{name} {layer.name}", by_layer(model, layer)) for layer in card.layers)
    yield "parts", by_parts
    yield "parts with reference", by_parts_with_reference
    for name, folder in networks(repository):
        model = open_model(Settings(model_repository=folder, device="cpu"), name, None)
        yield from ((f"{method} {name}", by_network(model, method)) for method in ("features", "parts"))


def measure(locate, frames):
    """Overlap and milliseconds of each pair, from decoded pixels to the box."""
    overlaps, times = [], []
    for reference, scene in zip(frames[::2], frames[1::2], strict=True):
        box = whole_pixels(reference.box, reference.pixels.shape)
        start = time.perf_counter()
        x, y, *own_ms = locate(reference.pixels, box, scene.pixels)
        times.append(own_ms[0] if own_ms else 1000 * (time.perf_counter() - start))
        width, height = reference.box[2:]
        found = x + (box[2] - width) / 2, y + (box[3] - height) / 2, width, height
        overlaps.append(intersection_over_union(found, scene.box))
    return np.array(overlaps), times


def summary(overlaps, sequences):
    return {
        "auc": round(area_under_curve(overlaps), 3),
        "interval": interval(overlaps, sequences),
        "above_half": round(float((overlaps > 0.5).mean()), 3),
    }


def halves_of(sequences):
    """Which pairs belong to every second sequence by name, and which to the others."""
    names = sorted(set(sequences))
    chosen = np.isin(sequences, names[::2])
    return {"both": np.ones_like(chosen), "chosen on": chosen, "held out": ~chosen}


def row(result):
    cells = [result["halves"].get(half) for half in HALVES]
    above = next(cell for cell in cells if cell)["above_half"]
    areas = "".join(f"{shown(cell):>22}" for cell in cells)
    return f"{result['method']:<26}{areas}{above:>10.3f}{result['median_ms']:>10.1f}{result['slowest_ms']:>10.1f}"


def shown(cell):
    return f"{cell['auc']:.3f} ({cell['interval'][0]:.2f}-{cell['interval'][1]:.2f})" if cell else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--repository", type=Path, help="folder of more networks")
    parser.add_argument("--missing", action="store_true", help="only methods without a result yet, which are added")
    parser.add_argument("--only", default="", help="methods whose name begins with this; nothing is written")
    parser.add_argument("--half", choices=HALVES, default="both", help="sequences to use; nothing is written for one")
    options = parser.parse_args()

    frames = read_frames(options.data)
    used = np.repeat(halves_of([frame.sequence for frame in frames[::2]])[options.half], 2)
    frames = [frame for frame, use in zip(frames, used, strict=True) if use]
    sequences = [frame.sequence for frame in frames[::2]]
    halves = halves_of(sequences) if options.half == "both" else {options.half: np.ones(len(sequences), bool)}

    print(f"{'AUC (95% interval)':<26}" + "".join(f"{half:>22}" for half in HALVES) + f"{'IoU > .5':>10}{'ms':>10}"
          f"{'slowest':>10}")  # fmt: skip
    results = json.loads(RESULTS.read_text())["methods"] if options.missing else []
    known = {result["method"] for result in results}
    for name, locate in methods(options.repository):
        if not name.startswith(options.only) or name in known:
            continue
        overlaps, times = measure(locate, frames)
        cells = {half: summary(overlaps[here], np.array(sequences)[here].tolist()) for half, here in halves.items()}
        results.append(
            {
                "method": name,
                "halves": cells,
                "median_ms": round(statistics.median(times), 2),
                "slowest_ms": round(max(times), 2),
            }
        )
        print(row(results[-1]), flush=True)
    if options.only or options.half != "both":
        return
    RESULTS.write_text(json.dumps({"methods": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
