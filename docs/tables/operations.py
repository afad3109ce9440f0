"""Tables of docs/operations.md."""

from results import percent, read, table, times

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
    least("goodput at 5 times the peak: 85 %", five, 0.85, percent)
    started = read("serve", "starting")
    most("start to ready: 2.0 s", [started["ready_s"]["median"]], 2, lambda value: f"{value:.2f} s")
    held = [started["held_mib"]["idle"], started["held_mib"]["after small pictures"]]
    most("memory: 300 MB", held, 300, lambda value: f"{value} MB")
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


def overloads_apart():
    rows = []
    for case in read("serve", "apart"):
        who, model = case["model"].split(", ")
        sums = [f"{case[name]:,.0f}" for name in ("peak", "good", "refused")]
        median = f"{case['good_ms']['p50']:,.0f}"
        rows.append([f"{who}, `{model}`", *sums, percent(case["good"] / case["peak"]), median])
    heads = ["five times the peak, from a core of its own", "peak, a second", "answered", "refused"]
    return table([*heads, "answered, of the peak", "median of answers, ms"], rows)


def several_workers(model):
    """Every number of processes, ours and others', of one model."""
    cases = read("serve", f"workers-{model}")
    others = [name for name in cases[0]["sides"] if name != "ours"]
    rows = []
    for case in cases:
        ratios = [ratio(case["ours_over"].get(name)) for name in others]
        rows.append([f"`{case['model']}`, {case['connections']}", rate(case, "ours"), *ratios])
    return table(["model, connections", "2 workers, a second", *(f"by {name}" for name in others)], rows)


def starts():
    found = read("serve", "starting")
    ready = found["ready_s"]
    rows = [["start to ready, s", f"{ready['median']:.2f} ({ready['low']:.2f} to {ready['high']:.2f})"]]
    rows += [[f"memory, MB, {name}", megabytes] for name, megabytes in found["held_mib"].items()]
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


def gpu_networks():
    rows = []
    for case in read("gpu", "networks"):
        here, there = (case[side]["median_ms"] for side in ("cpu", "gpu"))
        rows.append([case["case"], f"{here:.2f}", f"{there:.2f}", times(here / there), f"{case['first_ms']:.0f}"])
    return table(["network", "CPU, ms", "GPU, ms", "CPU by GPU", "GPU, first run of a new batch size, ms"], rows)


def worst_requests():
    """Each request alone and ten at once, now and before there were workers."""
    after, before = read("worst", "after"), read("worst", "before")
    rows = []
    for name, found in after.items():
        for now, then in zip(found["each"], before[name]["each"], strict=True):
            sides = [f"{each[key]:,}" for key in ("more_mib", "worst_health_ms") for each in (then, now)]
            rows.append([f"{name}, {now['clients']}", " ".join(now["statuses"]), *sides, f"{now['next_ms']:.0f}"])
    heads = ["request, clients", "answers", "memory before, MiB", "now", "longest health before, ms", "now"]
    return table([*heads, "next small answer, ms"], rows)


def before_and_after():
    rows = [
        [f"`{row['network']}`, {row['connections']}", *(f"{row['rates'][side]:,}" for side in ("before", "after")),
         f"{row['ratio']:.2f}x ({row['least']:.2f} to {row['most']:.2f})"]
        for row in read("before-after", "rows")
    ]  # fmt: skip
    return table(["network, connections", "before, a second", "now", "now by before"], rows)


def large_models():
    """Memory and time of the service with each large network, now and before its weights were held once."""
    results, rows = read("memory"), []
    for network, sides in results.items():
        for name, found in sides.items():
            asked = [found["predict"], found["activations"]]
            held = [f"{each['of_the_file']:.2f}" for each in asked]
            times = [f"{each['median_ms']:,.0f}" for each in asked]
            rows.append([f"{network}, {name}", f"{found['file_mib']:.0f}", held[0], times[0], held[1], times[1]])
    heads = ["network", "file, MiB", "files held, `/predict`", "ms", "files held, `/activations`", "ms"]
    return table(heads, rows)


TABLES = (
    worst_requests,
    large_models,
    before_and_after,
    answers,
    batches,
    tensors,
    targets,
    overloads,
    overloads_apart,
    starts,
    healths,
    features,
    ceilings,
    gpu_networks,
)
OF_A_MODEL = (several_workers,)
