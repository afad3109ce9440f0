"""Compiled loops beside torch: what they share."""

import os
import subprocess
import sys

PROGRAM = """
import torch
from scs.nn.layers import SharpenedCosineSimilarity2d

torch.set_num_threads({threads})
layer = SharpenedCosineSimilarity2d(2, 3, 3).to(memory_format=torch.channels_last)
layer(torch.rand(1, 2, 8, 8).to(memory_format=torch.channels_last)).sum().backward()
print(torch.get_num_threads())
"""


def test_torch_keeps_the_number_of_threads_that_it_was_given():
    """In a process of its own: it is the first of the loops to run that would change it."""
    for threads, loops in ((1, 2), (2, 1)):
        found = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(threads=threads)],
            env={**os.environ, "NUMBA_NUM_THREADS": str(loops)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert int(found.stdout) == threads
