"""Figures over draws."""

import statistics

from scipy.stats import t as student


def with_interval(values):
    """The mean over draws and its 95% interval (Student's)."""
    mean = statistics.mean(values)
    half = float(student.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
    return {"mean": round(mean, 4), "interval_95": [round(mean - half, 4), round(mean + half, 4)]}
