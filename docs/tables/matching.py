"""Tables of docs/matching.md."""

from results import NotMeasuredError, percent, percents, read, signed, table, times

from scs.matching.scores import DIRECT_PIXELS

SHOWN_SIDES = 3, 5, 6, 7, 8, 16, 64, 128, 300


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


def coarse():
    rows = [
        [kind, *(counts[name] for name in ("cases", "answered", "matches", "lost", "present_differs"))]
        for kind, counts in read("coarse").items()
    ]
    return table(["scene", "cases", "answered", "their matches", "lost", "`present` differs"], rows)


def find():
    rows = []
    for case in read("find", "cases"):
        ours = case["find"]
        pyramid, *others = (case.get(name) for name in ("pyramid", "whole map", "matchTemplate"))
        on_the_clock = times(pyramid["median_ms"] / ours["median_ms"])
        by_ours = [times(each["processor_ms"] / ours["processor_ms"]) if each else "" for each in (pyramid, *others)]
        rows.append([case["case"], f"{ours['processor_ms']:.0f}", by_ours[0], on_the_clock, *by_ours[1:]])
    heads = [
        "scene, template",
        "`find`, ms",
        "pyramid by ours",
        "the same on the clock",
        "our whole map by ours",
        "`matchTemplate` by ours",
    ]
    return table(heads, rows)


def memory():
    peaks = read("match", "bank_peak_megabytes")
    rows = [["MB at the peak", *(f"{megabytes:.0f}" for megabytes in peaks.values())]]
    return table(["templates of 64x64 on 1920x1080", *peaks], rows)


def presence():
    rows = []
    for kind, found in read("presence", "kinds").items():
        copies = percents(share or 0 for share in found["misses_by_copies"].values())
        usual = f"{percent(found['usual_false_alarms'], 1)}, {percent(found['usual_misses'], 1)}"
        shares = (percent(found[name], 1) for name in ("false_alarms", "misses", "strangers"))
        rows.append([f"{kind} ({found['half']})", *shares, percents(found["misses_by_level"]), copies, usual])
    heads = ["kind", "false alarms", "missed", "strangers", "exact / mild / moderate"]
    return table([*heads, "1 / to 8 / 20 / 62 / 300 copies", "score > 0.8: false alarms, missed"], rows)


def posed_presence():
    found = read("poses", "presence")
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


def turned():
    found = read("poses", "turned")
    rows = [
        [
            name,
            *(percent(found[key][share]) for share in ("within_5_px_and_5_deg", "found")),
            f"{found[key]['median_cpu_ms']:.0f}",
        ]
        for name, key in (("`find_poses`", "search"), ("a quarter-size loop over angles", "quarter size"))
    ]
    return table(["", "within 5 px and 5°", "within 2 px, 1° and 2 %", "ms of processor time"], rows)


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
    for case in read("gpu", "matches"):
        here, there = (case[side]["median_ms"] for side in ("cpu", "gpu"))
        rows.append([case["case"], f"{here:.1f}", f"{there:.1f}", times(here / there)])
    return table(["scene, templates, method", "CPU, ms", "GPU, ms", "CPU by GPU"], rows)


TABLES = (
    speed,
    methods,
    sides,
    bank,
    memory,
    coarse,
    find,
    presence,
    posed_presence,
    turned,
    subpixel,
    poses,
    misses,
    shapes,
    boat,
    parts,
    gpu,
)
