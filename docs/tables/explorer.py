"""Tables of docs/explorer.md."""

from results import read, table


def waits():
    sizes = read("explorer", "sizes")
    steps = next(iter(sizes.values()))
    rows = [[step, *(shown(figures[step]) for figures in sizes.values())] for step in steps]
    return table(["from the action to what it shows, ms", *sizes], rows)


def shown(figure):
    low, high = figure["range_ms"]
    return f"{figure['median_ms']:.0f} ({low:.0f} to {high:.0f})"


TABLES = [waits]
