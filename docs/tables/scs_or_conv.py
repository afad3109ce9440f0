"""Tables of docs/scs-or-conv.md."""

from statistics import mean

from results import NotMeasuredError, percent, read, table

from models.datasets.corruptions import CORRUPTIONS


def twins():
    """Each data set's two networks over seeds."""
    rows = []
    for name, found in read("seeds", "twins").items():
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


TABLES = twins, training_steps, amounts
OF_A_DATASET = spoilt, attacked, hidden, sureness
