"""Tables of docs/scs-or-conv.md."""

from functools import cache
from statistics import mean, stdev

from corrected import corrected, spread, welch
from results import NotMeasuredError, percent, read, table

from models.datasets.corruptions import CORRUPTIONS


def twins():
    """Each data set's two networks over seeds."""
    rows = []
    for name, found in read("seeds", "twins").items():
        ours, theirs = found["scs"], found["conv"]
        rows.append(
            [
                f"{name}, {ours['epochs']} epochs, {len(ours['test_accuracies'])} seeds",
                f"{ours['parameters']:,}",
                over_seeds(ours),
                f"{theirs['parameters']:,}",
                over_seeds(theirs),
                over_seeds_apart(sides_of(found), 2),
            ]
        )
    heads = ["", "SCS, parameters", "test accuracy", "convolution, parameters", "test accuracy", apart_head()]
    return table(heads, rows)


def over_seeds(side):
    return f"{percent(side['mean'], 2)} ± {100 * side['spread']:.2f}"


def sides_of(found):
    return [(side["mean"], stdev(side["test_accuracies"]), len(side["test_accuracies"])) for side in sided(found)]


def sided(found):
    return found["scs"], found["conv"]


def best_pooling():
    """Each family with the pooling that is best for it, by its mean over seeds, among those that were measured."""
    rows = []
    for name in blurred_twins():
        best = [best_of(f"{name}-{family}") for family in ("scs", "conv")]
        cells = [f"{percent(one[0], 2)} ± {100 * one[1]:.2f}, {words}" for words, one in best]
        rows.append([f"{name}, {best[0][1][2]} seeds", *cells, over_seeds_apart([one for _, one in best], 2)])
    return table(["", "SCS", "convolution", apart_head()], rows)


def blurred_twins():
    """The twins that were trained with a blur as well."""
    measured = read("seeds", "blurred")
    return [name for name in read("seeds", "twins") if f"{name}-scs" in measured]


def best_of(name):
    poolings = read("seeds", "blurred")[name].items()
    sides = [(words, (one["mean"]["accuracy"], one["accuracy_spread"], one["seeds"])) for words, one in poolings]
    return max(sides, key=lambda side: side[1][0])


def over_seeds_apart(sides, digits):
    """A difference in points with its 95 % interval, and with that of all on the page together."""
    difference, error, freedom = welch(*sides)
    alone, together = (corrected(difference, error, freedom, of) for of in (1, count()))
    return f"{shown_apart(difference, alone, 100, digits)}; of all: {shown_interval(together, 100, digits)}"


def shown_apart(difference, edges, scale, digits):
    return f"{scale * difference:+.{digits}f} ({shown_interval(edges, scale, digits)})"


def shown_interval(edges, scale, digits):
    return " to ".join(f"{scale * edge:+.{digits}f}" for edge in edges)


def apart_head():
    return "SCS - convolution (95 %)"


@cache
def count():
    """How many differences are on the page, each with its interval."""
    datasets = [read("robustness", "datasets")[name] for name in ("cifar10", "mnist")]
    spoilt_ones = sum(1 + 2 * (len(found["corruptions"]) + 1) for found in datasets)
    attacked_ones = sum(1 + 2 * 2 * len(found["attacks"]["budgets_of_255"]) for found in datasets)
    sure_ones = 3 * len(datasets)
    normalised_ones = sum(len(ways) for found in baselines_of().values() for ways in found.values())
    accuracies = len(read("seeds", "twins")) + len(blurred_twins())
    return accuracies + spoilt_ones + attacked_ones + sure_ones + normalised_ones


def baselines_of():
    return read("robustness", "baselines")


BEYOND = "beyond the difference on clean images"


def found_of(dataset):
    found = read("robustness", "datasets")
    if dataset not in found:
        raise NotMeasuredError(f"{dataset} of bench/results/robustness.json")
    return found[dataset]


def by_seed(values, shown):
    """The mean over seeds, and the lowest and highest."""
    return shown(mean(values)) + (f" ({shown(min(values))} to {shown(max(values))})" if len(values) > 1 else "")


def apart(cell, by_seed, scale=100, digits=1):
    """A difference with its interval, in percentage points unless told; bold where that of all excludes zero, too."""
    edges = corrected(cell["difference"], *spread(cell, by_seed), count())
    shown = shown_apart(cell["difference"], cell["interval_95"], scale, digits)
    return f"**{shown}**" if min(edges) > 0 or max(edges) < 0 else shown


def heads():
    return ["", "SCS", "convolution", apart_head()]


def less(cell, clean):
    """The means of each seed of both families, less those on clean images."""
    return [[a - b for a, b in zip(*each, strict=True)] for each in zip(sided(cell), sided(clean), strict=True)]


def beside(words, cell, beyond=None, clean=None):
    sides = [by_seed(cell[family], lambda share: f"{100 * share:.1f} %") for family in ("scs", "conv")]
    return [words, *sides, apart(cell, sided(cell)), apart(beyond, less(cell, clean)) if beyond else ""]


def amounts():
    rows = [[name, *(f"{x:g}" for x in one.amounts), one.unit] for name, one in CORRUPTIONS.items()]
    return table(["severity", 1, 2, 3, 4, 5, ""], rows)


def spoilt(dataset):
    found = found_of(dataset)
    clean = found["spoilt_clean"]
    rows = [beside("none", clean)]
    cells = found["corruptions"] | {"**all**": found["all_corruptions"]}
    rows += [beside(name, one["mean"], one["beyond_clean"], clean) for name, one in cells.items()]
    return table([*heads(), BEYOND], rows)


def normalised(dataset):
    """The bundled pair under each corruption, by how pictures are normalised first; the mean over severities."""
    if dataset not in baselines_of():
        raise NotMeasuredError(f"baselines of {dataset} of bench/results/robustness.json")
    rows = [
        [name, *(cell for way in ways.values() for cell in (percents_of(way), apart(way, sided(way))))]
        for name, ways in baselines_of()[dataset].items()
    ]
    kinds = "as they are", "stretched", "standardised"
    return table(["", *(head for kind in kinds for head in (kind, "difference"))], rows)


def percents_of(cell):
    return " / ".join(f"{100 * mean(side):.1f}" for side in sided(cell))


def attacked(dataset):
    found = found_of(dataset)["attacks"]
    rows = [beside("none", found["clean"])]
    for key, words in (("fgsm", "FGSM"), ("pgd", f"PGD, {found['pgd_steps']} steps")):
        for budget, cell in zip(found["budgets_of_255"], found[key], strict=True):
            rows.append(beside(f"{words}, {budget:g}/255", cell, cell["beyond_clean"], found["clean"]))
    return table([*heads(), BEYOND], rows)


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
        ["negative log-likelihood", *sides, apart(loss, sided(loss), scale=1, digits=4)],
    ]
    return table(heads(), rows)


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


TABLES = twins, best_pooling, training_steps, amounts
OF_A_DATASET = spoilt, normalised, attacked, hidden, sureness
