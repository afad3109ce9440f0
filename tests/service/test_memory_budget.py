"""What is in flight takes no more than its budget, whose default follows the container."""

import pytest

from scs.errors import BusyError, TooLargeError
from service.memory_budget import MemoryBudget, memory_limit

GIB = 2**30


def test_what_is_taken_comes_back_and_what_is_too_much_is_refused():
    budget = MemoryBudget(100 * 2**20)
    budget.take(60 * 2**20, "bodies")
    with pytest.raises(BusyError, match="bodies need 52428800 bytes and 41943040 of 104857600 are free"):
        budget.take(50 * 2**20, "bodies")
    with pytest.raises(TooLargeError, match="bodies may take 100 MiB; this takes 101"):
        budget.take(101 * 2**20, "bodies")
    budget.give(60 * 2**20)
    budget.take(50 * 2**20, "bodies")
    budget.hold(90 * 2**20)
    assert budget.taken == 140 * 2**20, "what is there already is counted, come what may"


V2 = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
V1 = "32 31 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"


@pytest.mark.parametrize(
    ("mounts", "groups", "limits", "expected"),
    [
        ("", "", {}, 16 * GIB),
        (V2, "0::/\n", {"memory.max": "max"}, 16 * GIB),
        (V2, "0::/\n", {"memory.max": 2 * GIB}, 2 * GIB),
        (V2, "0::/a/b\n", {"a/memory.max": 3 * GIB, "a/b/memory.max": "max"}, 3 * GIB),
        (V2, "0::/a/b\n", {"a/memory.max": 3 * GIB, "a/b/memory.max": GIB}, GIB),
        (V2, "0::/of/the/host\n", {"memory.max": 2 * GIB}, 2 * GIB),
        (V1, "5:cpu:/\n9:memory:/docker/x\n", {"memory/memory.limit_in_bytes": 2 * GIB}, 2 * GIB),
        (V1, "9:memory:/x\n", {"memory/x/memory.limit_in_bytes": GIB}, GIB),
        (V1, "9:memory:/\n", {"memory/memory.limit_in_bytes": 9223372036854771712}, 16 * GIB),
        (V1, "5:cpu:/\n", {"memory/memory.limit_in_bytes": GIB}, 16 * GIB),
    ],
)
def test_the_limit_is_the_least_of_the_control_groups_and_the_machine(tmp_path, mounts, groups, limits, expected):
    proc = tmp_path / "proc"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text(f"MemFree: 1 kB\nMemTotal: {16 * 2**20} kB\n")
    (proc / "self/cgroup").write_text(groups)
    (proc / "self/mountinfo").write_text(mounts)
    for name, limit in limits.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{limit}\n")
    assert memory_limit(tmp_path) == expected
