"""Tables of docs/teach.md."""

from results import percent, read, table

NAMES = {"digits": "digits", "photographs": "photographs", "cifar10": "CIFAR-10"}
WAYS = {
    "nearest mean": "nearest class mean",
    "logistic, unit length": "logistic, length 1",
    "logistic, standardised": "logistic, standardised",
    "scs": "`scs teach`",
}


def found():
    return {name: read("teach", name)["shots"] for name in NAMES}


def share(cell):
    low, high = cell["interval_95"]
    return f"{percent(cell['mean'], 1)} ± {50 * (high - low):.1f}"


def taught():
    """Accuracies of all ways, and what SCS has more than the better logistic regression."""
    rows = []
    for name, shots in found().items():
        for count, row in shots.items():
            cells = [share(row["accuracies"][way]) for way in WAYS]
            low, high = (f"{100 * bound:+.1f}" for bound in row["scs_less_best_logistic"]["interval_95"])
            less = f"{100 * row['scs_less_best_logistic']['mean']:+.1f} ({low} to {high})"
            rows.append([f"{NAMES[name]}, {count}", *cells, less])
    return table(["pictures a class", *WAYS.values(), "SCS less the better logistic"], rows)


def none_of_these():
    """What the head states of other things and of misses, beside what came."""
    kinds = ("stated false alarms", "false alarms", "stated misses", "misses")
    rows = [
        [f"{NAMES[name]}, {count}", *(share(row["none of these"][kind]) for kind in kinds)]
        for name, shots in found().items()
        for count, row in shots.items()
        if "none of these" in row
    ]
    return table(["pictures a class", "false alarms, stated", "came", "misses, stated", "came"], rows)


def small_things():
    """Accuracies by the layer and by the mean or maximum of a class's map, by the size of the thing in its picture."""
    rows = read("small-things", "accuracies")
    sides = next(iter(rows.values()))
    return table(
        ["layer, pooling", *(f"{side} pixels" for side in sides)],
        [[way, *(share(cell) for cell in row.values())] for way, row in rows.items()],
    )


def small_things_or_none():
    """Right, missed and false alarms where two classes are not known, of the way that is usual and of the best."""
    found = read("small-things", "with others")
    rows = []
    for way in ("bn1, mean", "blocks.13, maximum"):
        for most, said in ((None, ""), (0.05, ", `--false-alarms 0.05`")):
            cells = [" / ".join(percent(value) for value in row.values()) for row in found[f"{way}, {most}"].values()]
            rows.append([f"{way}{said}", *cells])
    return table(["right / missed / false alarms", *(f"{side} pixels" for side in found["bn1, mean, None"])], rows)


TABLES = [taught, none_of_these, small_things, small_things_or_none]
