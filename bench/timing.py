"""Interleaved timing of functions that do the same, so that a busy moment of the machine falls on all of them."""

import statistics
import time

WARM_UP = 2  # turns
RUN = 10  # calls back to back in a turn: the first few find caches, and a core that had nothing to do, cold


def interleaved(functions, seconds, least=3):
    """Milliseconds of each call of each function, for about so many seconds together."""
    times = {name: [] for name in functions}
    end = time.perf_counter() + seconds
    for turn in range(1_000_000):
        for name, function in functions.items():
            for _ in range(RUN):
                start = time.perf_counter()
                function()
                if turn >= WARM_UP:
                    times[name].append(1000 * (time.perf_counter() - start))
        if time.perf_counter() > end and turn >= WARM_UP + least - 1:
            return times


def summary(times):
    quarter, half, three_quarters = statistics.quantiles(times, n=4)
    return {"median_ms": round(half, 4), "quartiles_ms": [round(quarter, 4), round(three_quarters, 4)], "n": len(times)}


def recorded(sides):
    """What is kept of sides that were measured: the median, and the ratio where there is one."""
    return {name: {key: side[key] for key in ("median_ms", "ratio") if key in side} for name, side in sides.items()}


def show(side):
    low, high = side["quartiles_ms"]
    return f"{side['median_ms']:.3f} ({low:.3f}-{high:.3f})"
