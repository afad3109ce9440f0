"""Intervals of the differences of a page, corrected for how many there are (Bonferroni): together they hold 95 %."""

import numpy as np
from scipy import stats

_GRID = np.geomspace(1, 1e8, 4000)  # of the whole variance, in units of that between seeds


def spread(cell, by_seed):
    """The standard error and the degrees of freedom behind a 95 % interval of bench/robustness.py.

    Its variance is that between seeds, which is known, and that over images, which is what is left; where two such
    explain the interval, the one of fewer degrees of freedom is taken, which is the more careful.

    Args:
        cell: has ``interval_95``.
        by_seed: two lists, the means of each seed of each family.
    """
    half = (cell["interval_95"][1] - cell["interval_95"][0]) / 2
    parts = [(np.var(values, ddof=1) / len(values), len(values) - 1) for values in by_seed if len(values) > 1]
    between = sum(part for part, _ in parts)
    if between == 0:
        return half / stats.norm.ppf(0.975), np.inf
    variances = between * _GRID
    freedom = variances**2 / sum(part**2 / degrees for part, degrees in parts)
    missed = stats.t.ppf(0.975, freedom) * np.sqrt(variances) - half
    crossings = np.flatnonzero(np.diff(np.sign(missed)))
    first = int(crossings[0]) if len(crossings) else int(np.abs(missed).argmin())
    return float(np.sqrt(variances[first])), float(freedom[first])


def corrected(difference, error, freedom, count):
    """The interval of one difference among so many."""
    half = stats.t.ppf(1 - 0.025 / count, freedom) * error
    return [difference - half, difference + half]


def welch(ours, theirs):
    """Difference of two means over seeds, its standard error and degrees of freedom; sides are (mean, deviation, n)."""
    parts = [deviation**2 / n for _, deviation, n in (ours, theirs)]
    variance = sum(parts)
    freedom = variance**2 / sum(part**2 / (n - 1) for part, (_, _, n) in zip(parts, (ours, theirs), strict=True))
    return ours[0] - theirs[0], variance**0.5, freedom
