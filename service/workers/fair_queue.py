"""A bounded queue that is fair by client: each gets its turn, however much one of them sends."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """A queue of at most ``most`` items; clients take turns, and each client's items come first in, first out.

    Args:
        most: items that may wait.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lines: OrderedDict[str, deque[Item]] = OrderedDict()  # whose turn it is comes first
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, client: str, item: Item) -> Item | None:
        """Add an item.

        Returns:
            None; or in a full queue the item that had to make way: the newest of the client that has most waiting, or
            the one that was to be added, where no other client has more.
        """
        evicted = None
        if self._count >= self._most:
            longest = max(self._lines, key=lambda each: len(self._lines[each]), default=client)
            if len(self._lines.get(longest, ())) <= len(self._lines.get(client, ())) + 1:
                return item
            evicted = self._lines[longest][-1]
            self.remove(longest, evicted)
        self._lines.setdefault(client, deque()).append(item)
        self._count += 1
        return evicted

    def take(self) -> Item | None:
        """Take the oldest item of the client whose turn it is, or None where nothing waits."""
        if not self._lines:
            return None
        client, line = next(iter(self._lines.items()))
        item = line.popleft()
        self._count -= 1
        if line:
            self._lines.move_to_end(client)
        else:
            del self._lines[client]
        return item

    def remove(self, client: str, item: Item) -> bool:
        """Remove an item that has been given up; return whether it still waited."""
        line = self._lines.get(client)
        if line is None or item not in line:
            return False
        line.remove(item)
        self._count -= 1
        if not line:
            del self._lines[client]
        return True
