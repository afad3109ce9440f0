"""Tables of docs/scale.md: what a question takes, what was simulated and measured, and a million of them."""

from results import read, table

WHO = {"by hand": "by hand", "ours": "of ours", "workers": "in the run of workers"}


def service_times():
    rows = [
        [name, *(f"{found[key]:,.0f}" for key in found)] for name, found in read("scale", "service times, us").items()
    ]
    return table(["question", "event loop", "network", "heavy worker", "wrk, which asks"], rows)


def simulated():
    rows = [
        [
            f"{each['case']}, {each['workers']} {WHO[each['who']]}",
            each["connections"],
            f"{each['rate']:,.0f}",
            f"{each['predicted_rate']:,}",
            f"{each['error_of_rate']:+.0%}",
            f"{each['p99_ms']:.1f}",
            f"{each['predicted_p99_ms']:.1f}",
        ]
        for each in read("scale", "checked")
    ]
    heads = ["model, processes", "connections", "measured, a second", "simulated", "error", "p99 measured, ms"]
    return table([*heads, "simulated"], rows)


def a_million_a_second():
    rows = [
        [each["case"], f"{each['rate of a machine']:,}", *(f"{count:,}" for count in each["machines"].values())]
        for each in read("scale", "a million pictures a second")
    ]
    heads = ["question", "one machine answers", "by cores", "by cores, were networks on GPUs", "by network cards"]
    return table([*heads, "GPUs, by copies"], rows)


TABLES = (service_times, simulated, a_million_a_second)
