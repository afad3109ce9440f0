"""Fill the tables of the pages: ``python docs/tables.py``, after a benchmark has run, or after ``scs lab all``.

Those of docs/*.md are made of bench/results, those of docs/lab/*.md of docs/lab/pictures/TOPIC/figures.json.
"""

import json
import re
from functools import partial
from pathlib import Path
from statistics import mean

from lab.topics import TOPICS
from models.catalogue import bundled_repository, entries
from models.corruptions import CORRUPTIONS
from scs.matching.scores import DIRECT_PIXELS

PAGES = [Path(__file__).parent / f"{name}.md" for name in ("matching", "onnx-op", "operations", "scs-or-conv")]
LAB = Path(__file__).parent / "lab"
RESULTS = Path(__file__).parent.parent / "bench" / "results"
MARKED = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
SHOWN_SIDES = 3, 5, 6, 7, 8, 16, 64, 128, 300
ASIDE = "another photograph", "cut off the same photograph"


class NotMeasuredError(Exception):
    """Results that are not there; the message names them."""


def filled(page: str) -> str:
    """The page with every table between its markers as the results have it."""
    return MARKED.sub(lambda found: found[1] + made(found[2]) + found[3], page)


def made(name):
    try:
        return lab_table(*name.split("_")[1:]) if name.startswith("lab_") else TABLES[name]()
    except NotMeasuredError as missing:
        return f"*Not measured yet: {missing}.*\n"


def table(heads, rows):
    """A table whose first column is words and whose others are numbers."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def lab_table(topic, name):
    """A topic's table of its figures, which a run in full has written."""
    path = LAB / "pictures" / topic / "figures.json"
    if not path.exists():
        raise NotMeasuredError(f"docs/lab/pictures/{topic}/{path.name}")
    found = TOPICS[topic].load().tables(json.loads(path.read_text()))[name]
    return table(found.heads, found.rows)


def read(name, section=None):
    path = RESULTS / f"{name}.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    if not results or (section and section not in results):
        raise NotMeasuredError(f"{section or 'all'} of bench/results/{path.name}")
    return results[section] if section else results


def percent(share, digits=0):
    return "" if share is None else f"{100 * share:.{digits}f} %"


def percents(shares):
    return " / ".join(f"{100 * share:.0f}" for share in shares) + " %"


def signed(number, digits):
    return "" if number is None else f"{number:.{digits}g}"


def times(ratio):
    return f"{ratio:.1f}x"


def match_cases():
    """Each line of bench/match.py: its words, the median of ours, and those of its peers."""
    for case in read("match", "cases"):
        peers = {name: each["median_ms"] for name, each in case["peers"].items()}
        yield case["case"].split(", "), case["ours"]["median_ms"], peers, case["difference"]


def first_case(scene, peer, alone=False):
    """Of one template of 64x64 by ccoeff_normed, on one thread or on all: ours, a peer's, largest difference."""
    for words, ours, peers, apart in match_cases():
        fits = alone == (words[-1] == "1 thread")
        if words[:2] == [scene, "64x64"] and words[2].startswith("ccoeff_normed") and peer in peers and fits:
            return ours, peers[peer], apart
    raise NotMeasuredError(f"{scene} against {peer} in bench/results/match.json")


def speed():
    rows = []
    for scene in dict.fromkeys(words[0] for words, *_ in match_cases()):
        ours, opencv, from_opencv = first_case(scene, "opencv")
        alone, opencv_alone, _ = first_case(scene, "opencv", alone=True)
        beside, scikit, from_scikit = first_case(scene, "scikit-image")
        ratios = [opencv / ours, opencv_alone / alone, scikit / beside]
        apart = [f"{difference:.0e}" for difference in (from_opencv, from_scikit)]
        rows.append([scene, f"{ours:.1f}", f"{opencv:.1f}", f"{scikit:.0f}", *map(times, ratios), *apart])
    heads = ["scene", "ms", "OpenCV, ms", "scikit-image, ms", "OpenCV by ours", "one thread each"]
    return table([*heads, "scikit-image by ours", "from OpenCV", "from scikit-image"], rows)


def methods():
    found = {}
    for words, ours, peers, apart in match_cases():
        if words[0] == "mosaic 1920x1080" and "opencv" in peers and words[1] == "64x64" and words[-1] != "1 thread":
            found[words[2]] = ours, peers["opencv"], apart
    rows = [
        [f"`{name}`", f"{ours:.1f}", f"{opencv:.1f}", times(opencv / ours), f"{apart:.0e}"]
        for name, (ours, opencv, apart) in found.items()
        if apart is not None
    ]
    for name in ("scs", "scs_centred"):
        cosine, sharpened, _ = first_case("mosaic 1920x1080", name)
        rows.append([f"`{name}`; `ccoeff_normed` beside it {cosine:.1f}", f"{sharpened:.1f}", "", "", ""])
    return table(["method", "ms", "OpenCV, ms", "OpenCV by ours", "largest difference, share of the range"], rows)


def sides():
    rows = []
    for words, ours, peers, _ in match_cases():
        way = words[2]
        side = int(words[1].split("x")[0]) if way in ("direct", "spectral") else 0
        if side in SHOWN_SIDES:
            known = {way: ours, **peers}
            taken = "direct" if side * side <= DIRECT_PIXELS else "spectral"
            cells = [f"{known[name]:.1f}" if name in known else "" for name in ("direct", "spectral", "opencv")]
            rows.append([words[1], *cells, times(known["opencv"] / known[taken])])
    return table(["template", "directly, ms", "by transforms, ms", "OpenCV, ms", "OpenCV by ours"], rows)


def bank():
    rows = []
    for words, ours, peers, _ in match_cases():
        if "templates" in words[1]:
            (peer,) = peers.values()
            rows.append([", ".join(words[:2]), f"{ours:.0f}", f"{peer:.0f}", times(peer / ours)])
    return table(["bank", "ms", "OpenCV, ms", "OpenCV by ours"], rows)


def memory():
    peaks = read("match", "bank_peak_megabytes")
    rows = [["MB at the peak", *(f"{megabytes:.0f}" for megabytes in peaks.values())]]
    return table(["templates of 64x64 on 1920x1080", *peaks], rows)


def presence():
    found = read("presence", "methods")
    rows = []
    for method, results in found.items():
        for rule, rates in results["reported on"]["rules"].items():
            if method == "ccoeff_normed" or rule.startswith("chance"):
                alarms = " / ".join(percent(rates["false_alarms"][where], 1) for where in ASIDE)
                levels = percents(rates["misses_by_level"])
                name = rule.split(",")[0] + (", by `scs`" if method == "scs" else "")
                rows.append([name, alarms, percent(rates["misses"]), levels])
    heads = ["rule", "false alarms, other photograph / same", "missed", "missed, exact to harsh"]
    return table(heads, rows)


def calibration():
    found = read("presence", "methods")["ccoeff_normed"]["reported on"]["calibration"]
    levels = list(found[ASIDE[0]])
    rows = [
        [f"… came up: {where}", *(percent(share, 1 if share > 0.01 else 2) for share in found[where].values())]
        for where in ASIDE
    ]
    return table(["a chance below …", *(f"{100 * float(level):g} %" for level in levels)], rows)


def posed_presence():
    found = read("posed_presence")
    rows = [
        ["`present`", percent(found["false_alarms"]), percent(found["missed"])],
        ["score above 0.8", percent(found["usual_false_alarms"]), percent(found["usual_missed"])],
    ]
    return table(["rule", "false alarms", "missed"], rows)


def subpixel():
    errors = read("subpixel", "errors")
    heads, rows = ["median error in pixels, share within 0.05"], {}
    for error in errors:
        way = "a parabola" if error["way"] == "parabola" else "here"
        column = f"noise {error['noise']}, {way}"
        heads += [column] * (column not in heads)
        row = rows.setdefault(error["method"], [f"`{error['method']}`"])
        row.append(f"{error['median']:.3f}, {percent(error['share_within'])}")
    return table(heads, rows.values())


def poses():
    accuracy, speed = read("poses", "accuracy"), read("poses", "speed")
    rows = []
    for name, label in (("search", "`find_poses`"), ("SIFT", "SIFT"), ("ORB", "ORB")):
        result, pace = accuracy[name], speed[name]
        interval = " to ".join(f"{100 * edge:.1f}" for edge in result["interval_95"])
        shares = [percent(result[f"within_{axis}"], 1) for axis in ("centre_px", "angle_deg", "scale")]
        medians = [signed(result[f"median_{axis}"], 2) for axis in ("centre_px", "angle_deg")]
        rows.append(
            [label, f"{percent(result['found'], 1)} ({interval})", *shares, *medians, f"{pace['median_ms']:.0f}"]
        )
    full = read("poses", "full_search_time")
    reckoned = f"OpenCV's masked `matchTemplate`, {full['poses']:,} poses, reckoned from {full['sampled']} of them"
    rows.append([reckoned, *[""] * 6, f"{1000 * full['seconds']:.0f}"])
    heads = ["", "found (95 % interval)", "within 2 px", "1°", "2 %", "median px", "median °", "ms"]
    return table(heads, rows)


def misses():
    found = read("poses", "misses")
    above, best = found["above"], found["best_missed"]
    rows = [
        ["found by the full search", *(tally["matches"] for tally in above.values())],
        ["of these missed", *(tally["missed"] for tally in above.values())],
    ]
    return table([f"{found['cases']} scenes, of whose best matches {best or 'none'} missed; score above", *above], rows)


def shapes():
    found = read("poses", "other_shapes")
    rows = [
        ["cases", *(result["cases"] for result in found.values())],
        ["found", *(percent(result["found"]) for result in found.values())],
    ]
    return table(["template", *found], rows)


def boat():
    rows = []
    for name, result in read("poses", "boat").items():
        shares = [percent(result[key]) for key in ("within_5_px", "found")]
        errors = [signed(result[f"median_{axis}"], 2) for axis in ("centre_px", "angle_deg")]
        rows.append([name, result["cases"], *shares, *errors, percent(result["median_scale"], 1)])
    heads = ["looked for in, template", "templates", "within 5 px", "found", "median px", "median °", "median scale"]
    return table(heads, rows)


def kernels():
    found = read("kernels")
    rows = []
    for result in found["methods"]:
        name, interval = result["method"], " to ".join(f"{100 * edge:.0f}" for edge in result["found_interval"])
        strict = result["strict"]
        shares = [percent(result["found_same_size"]), percent(strict["found"]), percent(strict["false_alarms"], 1)]
        rows.append(
            [name, f"{percent(result['found'], 1)} ({interval})", *shares, f"{found['milliseconds'][name]:.0f}"]
        )
    heads = [
        "kernel",
        "found (95 % interval)",
        "of those of its size",
        "found at strict threshold",
        "false alarms",
        "ms",
    ]
    return table(heads, rows)


def parts():
    rows = []
    for result in read("bbs", "methods"):
        areas = [area(result["halves"][half]) for half in ("both", "chosen on", "held out")]
        above = percent(result["halves"]["both"]["above_half"], 1)
        rows.append([result["method"], *areas, above, f"{result['median_ms']:.0f}", f"{result['slowest_ms']:.0f}"])
    return table(["method", "AUC", "half chosen on", "half held out", "IoU above 0.5", "ms", "slowest, ms"], rows)


def area(cell):
    return f"{cell['auc']:.3f} ({cell['interval'][0]:.2f} to {cell['interval'][1]:.2f})"


def gpu():
    rows = []
    for case in read("match_gpu", "cases"):
        here, there = (case[side]["median_ms"] for side in ("cpu", "gpu"))
        rows.append([case["case"], f"{here:.1f}", f"{there:.1f}", times(here / there), f"{case['difference']:.0e}"])
    return table(["scene, templates, method", "CPU, ms", "GPU, ms", "CPU by GPU", "largest difference"], rows)


PEERS = "by hand", "by hand, 2 processes", "LitServe", "MLServer", "BentoML"


def served(section, upload="png"):
    """Cases of bench/serve.py that have ours in them."""
    return [case for case in read("serve", section) if case["upload"] == upload and "ours" in case["sides"]]


def rate(case, name):
    return f"{case['sides'][name]['rate']['median']:,.0f}" if name in case["sides"] else ""


def ratio(spread):
    return f"{spread['median']:.2f}x ({spread['low']:.2f} to {spread['high']:.2f})" if spread else ""


def late(case, name):
    return f"{case['sides'][name]['p99_ms']['median']:.1f}" if name in case["sides"] else ""


def compared(cases):
    there = [name for name in PEERS if any(name in case["sides"] for case in cases)]
    rows = []
    for case in cases:
        ratios = [ratio(case["ours_over"].get(name)) for name in there]
        what = f"`{case['model']}`{', as a form' if case['upload'] == 'form' else ''}, {case['connections']}"
        rates = [rate(case, name) for name in ("ours", *there)]
        rows.append([what, *rates, *ratios, *(late(case, name) for name in ("ours", *there[:1]))])
    heads = ["model, connections", "ours, a second", *there, *(f"ours / {name}" for name in there)]
    return table([*heads, "ours, 99th percentile, ms", f"{there[0]}, ms"], rows)


def answers():
    return compared(served("cases") + served("cases", "form"))


def batches():
    return compared(served("batching"))


def tensors():
    rows = []
    for case in served("binary", "binary"):
        name = f"`{case['model']}`, {case['connections']}"
        rows.append([name, rate(case, "ours"), rate(case, "PNG"), ratio(case["ours_over"]["PNG"])])
    return table(["model, connections", "tensors, a second", "PNG, a second", "tensors by PNG"], rows)


def targets():
    """What was aimed at, what came of it, and whether that is enough."""
    cases, rows = served("cases"), []

    def row(aim, found, enough, shown):
        rows.append([aim, shown(found), "reached" if enough(found) else "**missed**"])

    def least(aim, values, least_of_all, shown=lambda value: f"{value:.2f}x"):
        row(aim, min(values), lambda found: found >= least_of_all, shown)

    def most(aim, values, most_of_all, shown):
        row(aim, max(values), lambda found: found <= most_of_all, shown)

    def medians(those, peer, connections):
        return [case["ours_over"][peer]["median"] for case in those if case["connections"] in connections]

    def milliseconds(value):
        return f"{value:.0f} ms"

    least("by hand at 1 connection: 1.0x", medians(cases, "by hand", (1,)), 1)
    least("by hand at 16 and 64: 1.4x", medians(cases, "by hand", (16, 64)), 1.4)
    if any("LitServe" in case["sides"] for case in cases):
        least("LitServe: 4x", medians(cases, "LitServe", (1, 16, 64)), 4)
    tails = [
        case["sides"]["ours"]["p99_ms"]["median"] / case["sides"]["by hand"]["p99_ms"]["median"]
        for case in cases
        if case["connections"] == 64
    ]
    most("99th percentile at 64, of that by hand: below 1", tails, 1, lambda value: f"{value:.2f}")
    least("by hand where batches pay, at 16 and 64: 1.5x", medians(served("batching"), "by hand", (16, 64)), 1.5)
    tensor = [case["ours_over"]["PNG"]["median"] for case in served("binary", "binary")]
    least("binary tensors by PNG: 1.3x", tensor, 1.3)
    five = [case["good"] / case["peak"] for case in read("serve", "overload") if case["factor"] == 5]
    least("goodput at 5 times the peak: 90 %", five, 0.9, percent)
    started = read("serve", "starting")
    most("start to ready: 2.0 s", [started["ready_s"]["median"]], 2, lambda value: f"{value:.2f} s")
    resident = [started["resident_megabytes"]["idle"], started["resident_megabytes"]["after small pictures"]]
    most("resident memory: 300 MB", resident, 300, lambda value: f"{value} MB")
    tails = [each["p99"] for each in read("serve", "liveness").values()]
    most("99th percentile of health under large pictures: 50 ms", tails, 50, milliseconds)
    return table(["aim, at the worst of its cases", "found", ""], rows)


def overloads():
    rows = []
    for case in read("serve", "overload"):
        sums = [f"{case[name]:,.0f}" for name in ("offered", "good", "refused")]
        tails = [f"{case[name]['p99']:.0f}" if case[name] else "" for name in ("good_ms", "refused_ms")]
        what = f"`{case['model']}`, {case['picture']}, {case['factor']} x {case['peak']:,}"
        rows.append([what, *sums, percent(case["good"] / case["peak"]), *tails, f"{case['client_cores']:.2f}"])
    heads = ["model, asked for a second", "came", "answered", "refused", "answered, of the peak"]
    return table([*heads, "99th percentile of answers, ms", "of refusals, ms", "cores of the client"], rows)


def starts():
    found = read("serve", "starting")
    ready = found["ready_s"]
    rows = [["start to ready, s", f"{ready['median']:.2f} ({ready['low']:.2f} to {ready['high']:.2f})"]]
    rows += [[f"resident, MB, {name}", megabytes] for name, megabytes in found["resident_megabytes"].items()]
    return table(["four models, CPU", "found"], rows)


def healths():
    rows = [
        [f"`{name}`" if name[0] == "/" else name, *each.values()] for name, each in read("serve", "liveness").items()
    ]
    return table(["beside", "median, ms", "99th percentile", "longest"], rows)


def features():
    (case,) = read("serve", "features")
    rows = [
        [name if name != "ours" else "all of it", rate(case, name), ratio(case["ours_over"].get(name)), side["cpu_us"]]
        for name, side in case["sides"].items()
    ]
    return table(["`cifar10-conv`, 16 connections", "a second", "all of it by this", "processor, us a request"], rows)


def ceilings():
    found = read("serve", "limits")
    rows = []
    for name, words in (("asgi", "uvicorn, no application"), ("fastapi", "FastAPI, no work")):
        for connections, each in found[name].items():
            rows.append([f"{words}, {connections} connections", f"{each['rate']:,}", f"{each['client_cores']:.2f}"])
    for model, rates in found["onnxruntime"].items():
        rows += [[f"ONNX Runtime, `{model}`, {name}", f"{each:,}", ""] for name, each in rates.items()]
    return table(["alone", "a second", "cores that wrk used"], rows)


def against_convolution(lines, words, name):
    """Of lines of bench/layer.py: their words, the time of the convolution, and ratios to it."""
    rows = []
    for line in lines:
        sides = line["sides"]
        ratios = [f"{sides[kind]['ratio']:.2f}" for kind in ("native", "portable")]
        rows.append([words(line), line["threads"], f"{sides['conv']['median_ms']:.3g}", *ratios])
    return table([name, "threads", "convolution, ms", "native", "portable"], rows)


def layers():
    def words(line):
        images, channels, kernels, side, size = line["shape"]
        return f"{images}, {channels}, {kernels}, {side}x{side}, {size}x{size}"

    return against_convolution(read("layer", "layers"), words, "images, channels, kernels, pixels, window")


def networks():
    return against_convolution(
        read("layer", "networks"), lambda line: f"`{line['name']}`, batch {line['batch']}", "network"
    )


BESIDE = ["", "SCS", "convolution", "SCS - convolution (95 %)"]
BEYOND = "beyond the difference on clean images"


def found_of(dataset):
    found = read("robustness", "datasets")
    if dataset not in found:
        raise NotMeasuredError(f"{dataset} of bench/results/robustness.json")
    return found[dataset]


def by_seed(values, shown):
    """The mean over seeds, and the lowest and highest."""
    return shown(mean(values)) + (f" ({shown(min(values))} to {shown(max(values))})" if len(values) > 1 else "")


def apart(cell, scale=100, digits=1):
    """A difference with its interval, in percentage points unless told."""
    low, high = (f"{scale * edge:+.{digits}f}" for edge in cell["interval_95"])
    return f"{scale * cell['difference']:+.{digits}f} ({low} to {high})"


def beside(words, cell, beyond=None):
    sides = [by_seed(cell[family], lambda share: f"{100 * share:.1f} %") for family in ("scs", "conv")]
    return [words, *sides, apart(cell), apart(beyond) if beyond else ""]


def amounts():
    rows = [[name, *(f"{x:g}" for x in one.amounts), one.unit] for name, one in CORRUPTIONS.items()]
    return table(["severity", 1, 2, 3, 4, 5, ""], rows)


def spoilt(dataset):
    found = found_of(dataset)
    rows = [beside("none", found["spoilt_clean"])]
    rows += [beside(name, one["mean"], one["beyond_clean"]) for name, one in found["corruptions"].items()]
    rows.append(beside("**all**", found["all_corruptions"]["mean"], found["all_corruptions"]["beyond_clean"]))
    return table([*BESIDE, BEYOND], rows)


def attacked(dataset):
    found = found_of(dataset)["attacks"]
    rows = [beside("none", found["clean"])]
    for key, words in (("fgsm", "FGSM"), ("pgd", f"PGD, {found['pgd_steps']} steps")):
        for budget, cell in zip(found["budgets_of_255"], found[key], strict=True):
            rows.append(beside(f"{words}, {budget:g}/255", cell, cell["beyond_clean"]))
    return table([*BESIDE, BEYOND], rows)


def hidden(dataset):
    """What would tell of gradients that mislead, for each family the mean over its seeds."""
    found = found_of(dataset)["attacks"]
    rows = []
    for family, words in (("scs", "SCS"), ("conv", "convolution")):
        check, transfer = found["gradients"][family], found["transfer"][family]
        losses = [check["clean_loss"], check["noise_loss"], check["fgsm_loss"], *check["pgd_losses"].values()]
        cells = [percent(mean(check["blank"]), 1), *(f"{mean(each):.2f}" for each in losses)]
        rows.append([words, *cells, *(percent(share, 1) for share in transfer.values()), len(check["doubts"])])
    steps = [f"PGD, {steps} steps" for steps in found["gradients"]["scs"]["pgd_losses"]]
    heads = ["", "no gradient", "loss", "after noise", "FGSM", *steps]
    return table([*heads, "right against its own attack", "against the other's", "doubts"], rows)


def sureness(dataset):
    found = found_of(dataset)
    error, loss = found["expected_calibration_error"], found["negative_log_likelihood"]
    sides = [by_seed(loss[family], lambda value: f"{value:.4f}") for family in ("scs", "conv")]
    rows = [
        beside("accuracy", found["clean"])[:4],
        beside("expected calibration error", error)[:4],
        ["negative log-likelihood", *sides, apart(loss, scale=1, digits=4)],
    ]
    return table(BESIDE, rows)


def quantised():
    rows = []
    for model in read("quantised", "models"):
        for variant in model["int8"]:
            accuracy = variant["accuracy"]
            interval = " to ".join(f"{100 * edge:.2f}" for edge in accuracy["interval_95"])
            times = [
                " / ".join(f"{each['ratio']:.2f}" for each in variant["time"].get(kernels, {}).values())
                for kernels in ("portable", "native")
            ]
            rows.append(
                [
                    f"`{model['model']}` {model['version']}, {variant['scope']}",
                    f"{model['float']['bytes'] / 1000:.0f} to {variant['bytes'] / 1000:.0f}",
                    percent(model["float"]["accuracy"]["share"], 2),
                    f"{percent(accuracy['share'], 2)} ({interval})",
                    percent(variant["same_class_as_float"], 1),
                    *times,
                ]
            )
    heads = ["products in 8 bits", "KB", "accuracy, float", "8 bits (95 % interval)", "same class"]
    return table([*heads, "time by float's, 1 / 64 images", "native kernels"], rows)


def twins():
    """Each data set's two networks over seeds."""
    rows = []
    for name, found in read("seeds").items():
        ours, theirs = found["scs"], found["conv"]
        low, high = (f"{100 * bound:+.2f}" for bound in found["interval_95"])
        rows.append(
            [
                f"{name}, {ours['epochs']} epochs, {len(ours['test_accuracies'])} seeds",
                f"{ours['parameters']:,}",
                over_seeds(ours),
                f"{theirs['parameters']:,}",
                over_seeds(theirs),
                f"{100 * found['difference']:+.2f} ({low} to {high})",
            ]
        )
    heads = ["", "SCS, parameters", "test accuracy", "convolution, parameters", "test accuracy", "SCS less convolution"]
    return table(heads, rows)


def over_seeds(side):
    return f"{percent(side['mean'], 2)} ± {100 * side['spread']:.2f}"


def blurred():
    """Networks with and without a blur before their maps are halved."""
    rows = []
    for name, found in read("blur").items():
        for which, one in found.items():
            mean = one["mean"]
            pairs = [(mean[key], mean[f"{key}_without_borders"]) for key in ("last_layer", "logits")]
            kept = mean["class_kept"], mean["class_kept_without_borders"]
            spread = "" if one["accuracy_spread"] is None else f" ± {100 * one['accuracy_spread']:.2f}"
            rows.append(
                [
                    f"`{name}`{', blurred' if which == 'blurred' else ''}, seeds: {one['seeds']}",
                    f"{percent(mean['accuracy'], 2)}{spread}",
                    *(f"{served:.3f} ({alone:.3f})" for served, alone in pairs),
                    f"{percent(kept[0], 1)} ({percent(kept[1], 1)})",
                ]
            )
    return table(["", "accuracy", "error of the last layer", "of the logits", "class kept"], rows)


def followed():
    """How the models of the package follow a shift by one pixel, from their cards."""
    rows = []
    for entry in entries(bundled_repository()):
        card = entry.card()
        if not card.equivariance:
            rows.append([f"`{card.name}` {card.version}", *["not measured yet"] * 4])
            continue
        served, alone = card.equivariance.as_served, card.equivariance.without_borders
        for part, words in ((served, ""), (alone, ", without borders")):
            features = list(part.layers.values())[:-1]  # then comes the class map
            cells = [f"{error:.3f}" for error in (features[0], features[-1], part.logits)]
            rows.append([f"`{card.name}` {card.version}{words}", *cells, percent(part.class_kept, 1)])
    return table(["", "stem", "last block", "logits", "class kept"], rows)


def ingredients():
    """What is changed in the SCS network, and what that takes away."""
    found = read("ablations")
    heads = ["", *(f"seed {seed}" for seed in range(found["seeds"])), "mean", "less SCS, points"]
    rows = [
        [
            variant,
            *(percent(accuracy, 1) for accuracy in one["accuracies"]),
            percent(one["mean"], 1),
            "" if variant == "scs" else f"{100 * one['less_scs']:+.1f}",
        ]
        for variant, one in found["variants"].items()
    ]
    return table(heads, rows)


def training_steps():
    """Forward and backward of a layer, and a step of a network, as ratios to convolution's."""
    measured = read("training", "cpu")
    sides = "scs", "scs, compiled", "plain PyTorch"
    heads = ["images, channels, kernels, pixels, kernel size", "threads", "convolution, ms", *sides]
    rows = [
        [shape, run["threads"], f"{one['conv2d']['median_ms']:.2f}", *(f"{one[side]['ratio']:.2f}x" for side in sides)]
        for run in measured
        for shape, one in run["layers"].items()
    ]
    for run in measured:
        conv, ours = run["network"]["conv"], run["network"]["scs"]
        step = f"{conv['median_ms']:.1f}", f"{ours['ratio']:.2f}x"
        rows.append(["a step of the CIFAR-10 network, 128 images", run["threads"], *step, "", ""])
    return table(heads, rows)


def wishes():
    """Area under the ROC curve of each kernel made of what a network would like to see, and of its peers."""
    networks, photographs = read("wishes", "networks"), read("wishes", "photographs")
    rows = [
        [kernel, *(with_interval(found[kernel]) for found in networks.values())]
        for kernel in next(iter(networks.values()))
    ]
    rows += [[kernel, with_interval(found), ""] for kernel, found in photographs.items()]
    return table(["template", *(f"`{name}`" for name in networks)], rows)


def with_interval(found):
    low, high = found["interval_95"]
    return f"{found['auc']:.2f} ({low:.2f} to {high:.2f})"


TABLES = {
    one.__name__: one
    for one in (
        twins,
        ingredients,
        blurred,
        followed,
        training_steps,
        speed,
        methods,
        sides,
        bank,
        memory,
        presence,
        calibration,
        posed_presence,
        subpixel,
        poses,
        misses,
        shapes,
        boat,
        kernels,
        parts,
        gpu,
        answers,
        batches,
        tensors,
        targets,
        overloads,
        starts,
        healths,
        features,
        ceilings,
        layers,
        networks,
        amounts,
        quantised,
        wishes,
    )
}
TABLES |= {
    f"{one.__name__}_{dataset}": partial(one, dataset)
    for one in (spoilt, attacked, hidden, sureness)
    for dataset in ("cifar10", "mnist")
}


if __name__ == "__main__":
    for page in [*PAGES, *(LAB / f"{topic}.md" for topic in TOPICS)]:
        page.write_text(filled(page.read_text()))
