"""A process that keeps what it freed is not given fresh pages for the next block of the same size."""

import subprocess
import sys

SCRIPT = """
import resource, sys
import torch
from models.training.allocator import keep_freed_memory

print(keep_freed_memory() if sys.argv[1] == "kept" else False)
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(2**23).sum()  # 32 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


def run(how):
    lines = subprocess.run(
        [sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True
    ).stdout.split()
    return lines[0] == "True", int(lines[1])


def test_blocks_of_the_size_of_those_that_were_freed_cost_few_fresh_pages_where_these_were_kept():
    told, faults = run("kept")
    _, by_default = run("as ever")
    assert by_default > 1000 or not told
    assert faults < by_default / 2 or not told
