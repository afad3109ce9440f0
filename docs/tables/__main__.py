"""Fill the tables of the pages: ``python docs/tables``, after a benchmark has run, or after ``scs lab all``.

Those of docs/*.md are made of bench/results, those of docs/lab/*.md of docs/lab/pictures/TOPIC/figures.json, and the
rooms of docs/architecture.md of the packages' docstrings. A module here has the tables of a page, by the names that its
markers have.
"""

import json
import re
from functools import partial
from pathlib import Path

import architecture
import explorer
import laboratory
import matching
import onnx_op
import operations
import readme
import scale
import scs_or_conv
import teach
from results import NotMeasuredError, table

from lab.topics.catalogue import TOPICS

DOCS = Path(__file__).parents[1]
PAGES = [
    DOCS.parent / "README.md",
    *(
        DOCS / f"{name}.md"
        for name in ("architecture", "explorer", "matching", "onnx-op", "operations", "scale", "scs-or-conv", "teach")
    ),
]
LAB = DOCS / "lab"
MARKED = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str) -> str:
    """The page with every table between its markers as the results have it."""
    return MARKED.sub(lambda found: found[1] + made(found[2]) + found[3], page)


def made(name):
    try:
        return lab_table(*name.split("_")[1:]) if name.startswith("lab_") else TABLES[name]()
    except NotMeasuredError as missing:
        return f"*Not measured yet: {missing}.*\n"


def lab_table(topic, name):
    """A topic's table of its figures, which a run in full has written."""
    path = LAB / "pictures" / topic / "figures.json"
    if not path.exists():
        raise NotMeasuredError(f"docs/lab/pictures/{topic}/{path.name}")
    found = TOPICS[topic].load().tables(json.loads(path.read_text()))[name]
    return table(found.heads, found.rows)


TABLES = {
    one.__name__: one
    for page in (architecture, explorer, laboratory, matching, onnx_op, operations, readme, scale, scs_or_conv, teach)
    for one in page.TABLES
}
TABLES |= {
    f"{one.__name__}_{dataset}": partial(one, dataset)
    for one in scs_or_conv.OF_A_DATASET
    for dataset in ("cifar10", "mnist")
}
TABLES |= {
    f"{one.__name__}_{model}": partial(one, f"cifar10-{model}")
    for one in operations.OF_A_MODEL
    for model in ("scs", "conv")
}


if __name__ == "__main__":
    for page in [*PAGES, *(LAB / f"{topic}.md" for topic in TOPICS)]:
        page.write_text(filled(page.read_text()))
