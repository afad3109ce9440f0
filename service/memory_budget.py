"""The budget of memory for everything that is in flight: bodies, pictures, maps and answers, in sum."""

from __future__ import annotations

from pathlib import Path

from scs.errors import BusyError, TooLargeError

_SHARE = 0.6  # of what there is; the rest is for models, code, and what allocators hold on to
_MIB = 2**20
_SELF = Path("/proc/self/cgroup")
_MACHINE = Path("/proc/meminfo")
_CGROUPS = Path("/sys/fs/cgroup")


class MemoryBudget:
    """Bytes that requests may take together; its methods are called on the event loop.

    Args:
        total: bytes.
    """

    def __init__(self, total: int) -> None:
        self.total, self.taken = total, 0

    def take(self, count: int, what: str) -> None:
        """Take bytes, to be given back by :meth:`give`.

        Args:
            count: bytes.
            what: they are for, for the message.

        Raises:
            TooLargeError: more than there are in all.
            BusyError: more than there are left.
        """
        if count > self.total:
            raise TooLargeError(f"{what} may take {self.total // _MIB} MiB; this takes {count // _MIB}")
        if self.taken + count > self.total:
            raise BusyError(
                f"{what} need {count} bytes and {self.total - self.taken} of {self.total} are free; ask again soon"
            )
        self.taken += count

    def hold(self, count: int) -> None:
        """Count bytes that are there already, such as an answer's, whether there is room for them or not."""
        self.taken += count

    def give(self, count: int) -> None:
        """Give back bytes that were taken."""
        self.taken -= count


def default_budget() -> int:
    """Return a share of the memory that this container or machine allows, in bytes."""
    return int(_SHARE * memory_limit())


def memory_limit(own: Path = _SELF, machine: Path = _MACHINE, cgroups: Path = _CGROUPS) -> int:
    """Return the bytes of memory that this process may take, by its control groups (version 1 or 2) and the machine.

    Args:
        own: says which control groups this process is in.
        machine: says how much memory there is.
        cgroups: where the control groups lie.
    """
    limits = [_machine_memory(machine)]
    for folder, file in _own_groups(own, cgroups):
        for each in (folder, *folder.parents):
            if not each.is_relative_to(cgroups):
                break
            text = _read(each / file)
            if text.isdigit():
                limits.append(int(text))
    return min(limits)


def _own_groups(own: Path, cgroups: Path) -> list[tuple[Path, str]]:
    """The folders of this process's groups, with the name of the file that has their limit."""
    found = []
    for line in _read(own).splitlines():
        _, controllers, path = line.split(":", 2)
        # Within a container the path may be that of the host, which is not there; the limit then lies at the root.
        if not controllers:
            found += [(cgroups / path.lstrip("/"), "memory.max"), (cgroups, "memory.max")]
        elif "memory" in controllers.split(","):
            root = cgroups / "memory"
            found += [(root / path.lstrip("/"), "memory.limit_in_bytes"), (root, "memory.limit_in_bytes")]
    return found


def _machine_memory(machine: Path) -> int:
    for line in _read(machine).splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 4 * 2**30  # not Linux: a small machine of today


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
