"""The budget of memory of all workers of one service."""

from __future__ import annotations

from service.cluster.member import Member
from service.memory_budget import MemoryBudget


class SharedMemoryBudget(MemoryBudget):
    """A budget of all workers of one service.

    Two that take at the same moment may go over it together, once, by what they take then.

    Args:
        total: bytes.
        member: this process among the workers.
    """

    def __init__(self, total: int, member: Member) -> None:
        super().__init__(total)
        self._board, self._worker = member.board, member.index

    @property
    def taken(self) -> int:
        """Bytes that the requests of all workers take."""
        return self._board.memory()

    def hold(self, count: int) -> None:
        """Count bytes that are there already."""
        self._board.take_memory(self._worker, count)

    def give(self, count: int) -> None:
        """Give back bytes that were taken."""
        self._board.take_memory(self._worker, -count)
