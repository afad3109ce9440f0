"""Results of the benchmarks, and how their figures are shown."""

import json
from pathlib import Path

RESULTS = Path(__file__).parents[2] / "bench" / "results"


class NotMeasuredError(Exception):
    """Results that are not there; the message names them."""


def read(name, section=None):
    path = RESULTS / f"{name}.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    if not results or (section and section not in results):
        raise NotMeasuredError(f"{section or 'all'} of bench/results/{path.name}")
    return results[section] if section else results


def table(heads, rows):
    """A table whose first column is words and whose others are numbers."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def percent(share, digits=0):
    return "" if share is None else f"{100 * share:.{digits}f} %"


def percents(shares):
    return " / ".join(f"{100 * share:.0f}" for share in shares) + " %"


def signed(number, digits):
    return "" if number is None else f"{number:.{digits}g}"


def times(ratio):
    return f"{ratio:.1f}x"
