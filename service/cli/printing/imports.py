"""The report of ``scs import``."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from models.imports.report import ExampleReport, ImportReport


def print_report(report: ImportReport) -> None:
    """Print what was found, what was assumed, how the imported network agrees, and what examples say."""
    table = Table("", "found", "by", title=f"{report.file} as {report.name} {report.version}", title_justify="left")
    for finding in report.findings:
        table.add_row(*(escape(text) for text in (finding.what, finding.found, finding.source)))
    for number, text in enumerate(report.assumed):
        table.add_row("" if number else "assumed", escape(text), "nothing says it")
    table.add_row("class map", escape(report.class_map), "" if report.class_map_difference is None else _tried(report))
    table.add_row("agreement", _agreement(report), f"{report.pictures} pictures, noise and examples")
    memory = "" if report.memory_bytes is None else f", {report.memory_bytes / 1e6:.0f} MB of memory"
    table.add_row(
        "cost", f"{report.milliseconds:.0f} ms a picture{memory}", f"file of {report.model_bytes / 1e6:.1f} MB"
    )
    Console().print(table)
    for example in report.examples:
        print_example(example)
    if report.verdict:
        print(f"preprocessing {report.verdict}")


def _tried(report: ImportReport) -> str:
    return f"mean of a map and its bias, {report.class_map_difference:.1e} of the range from the logit"


def _agreement(report: ImportReport) -> str:
    top = {True: ", same class first", False: ", another class first", None: ""}[report.same_top_class]
    return f"{report.difference:.1e} of the range from the original{top}"


def print_example(example: ExampleReport) -> None:
    """Print where an example's class comes under the preprocessing, and under others."""
    first, *others = example.ranks
    print(
        f"{example.picture}: {example.label} at place {first.rank} with {first.probability:.3f}; "
        f"first is {example.said}"
    )
    compared = ", ".join(f"{rank.preprocess} {rank.rank} ({rank.probability:.3f})" for rank in others)
    if compared:
        print(f"  elsewhere: {compared}")
