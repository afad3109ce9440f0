"""The budget of memory for everything that is in flight: bodies, pictures, maps and answers, in sum."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scs.control_groups import control_groups
from scs.errors import BusyError, TooLargeError

_SHARE = 0.6  # of what there is; the rest is for models, code, and what allocators hold on to
_MIB = 2**20
_LIMITS = ("memory.max", "memory.limit_in_bytes")


class MemoryBudget:
    """Bytes that requests may take together; its methods are called on the event loop.

    Args:
        total: bytes.

    Attributes:
        on_shortage: gives back so many bytes of what is kept without need, as far as there is such.
    """

    on_shortage: Callable[[int], object] | None = None

    def __init__(self, total: int) -> None:
        self.total, self._taken = total, 0

    @property
    def taken(self) -> int:
        """Bytes that are taken."""
        return self._taken

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
        if self.taken + count > self.total and self.on_shortage is not None:
            self.on_shortage(self.taken + count - self.total)
        if self.taken + count > self.total:
            raise BusyError(
                f"{what} need {count} bytes and {self.total - self.taken} of {self.total} are free; ask again soon"
            )
        self.hold(count)

    def hold(self, count: int) -> None:
        """Count bytes that are there already, such as an answer's, whether there is room for them or not."""
        self._taken += count

    def give(self, count: int) -> None:
        """Give back bytes that were taken."""
        self._taken -= count


def default_budget() -> int:
    """Return a share of the memory that this container or machine allows, in bytes."""
    return int(_SHARE * memory_limit())


def memory_limit(root: Path = Path("/")) -> int:
    """Return the bytes of memory that this process may take, by its control groups (version 1 or 2) and the machine.

    Args:
        root: folder that ``proc`` and the mounted groups lie in.
    """
    limits = [_machine_memory(root / "proc/meminfo")]
    try:
        for group in control_groups("memory", root):
            limits += [int(text) for text in (_read(group / file) for file in _LIMITS) if text.isdigit()]
    except (OSError, ValueError):
        pass  # another system
    return min(limits)


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
