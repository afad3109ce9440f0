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


@pytest.fixture
def machine(tmp_path):
    """Say what a machine has: its memory, the control groups of this process, and files with their limits."""

    def make(groups, **limits):
        (tmp_path / "meminfo").write_text(f"MemFree: 1 kB\nMemTotal: {16 * 2**20} kB\n")
        (tmp_path / "cgroup").write_text(groups)
        for name, limit in limits.items():
            path = tmp_path / "groups" / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{limit}\n")
        return tmp_path / "cgroup", tmp_path / "meminfo", tmp_path / "groups"

    return make


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        ("", {}, 16 * GIB),
        ("0::/\n", {"memory.max": "max"}, 16 * GIB),
        ("0::/\n", {"memory.max": 2 * GIB}, 2 * GIB),
        ("0::/a/b\n", {"a__memory.max": 3 * GIB, "a__b__memory.max": "max"}, 3 * GIB),
        ("0::/a/b\n", {"a__memory.max": 3 * GIB, "a__b__memory.max": GIB}, GIB),
        ("0::/of/the/host\n", {"memory.max": 2 * GIB}, 2 * GIB),
        ("5:cpu:/\n9:memory:/docker/x\n", {"memory__memory.limit_in_bytes": 2 * GIB}, 2 * GIB),
        ("9:memory:/x\n", {"memory__x__memory.limit_in_bytes": GIB}, GIB),
        ("9:memory:/\n", {"memory__memory.limit_in_bytes": 9223372036854771712}, 16 * GIB),
        ("5:cpu:/\n", {"memory__memory.limit_in_bytes": GIB}, 16 * GIB),
    ],
)
def test_the_limit_is_the_least_of_the_control_groups_and_the_machine(machine, groups, limits, expected):
    assert memory_limit(*machine(groups, **limits)) == expected
