"""The queue of images that wait for one network, and the choice of each batch; no threads, no event loop."""

from __future__ import annotations

from asyncio import Future
from collections import deque
from dataclasses import dataclass

from models.runtime.load import Array, Images
from scs.errors import BusyError, TooLargeError
from service.observability.tracing import stage

Shape = tuple[int, ...]


@dataclass(frozen=True)
class BatchLimits:
    """The limits of a batch and of the queue before it.

    Attributes:
        rows: most images of a batch.
        pixels: most pixels of a batch; an image that has more goes alone.
        delay_s: seconds that an idle network waits for more images.
        waiting: most images that wait.
    """

    rows: int
    pixels: int
    delay_s: float
    waiting: int

    def rows_of(self, shape: Shape) -> int:
        """Return the most images ``(H, W, C)`` of a batch, at least one."""
        height, width = shape[:2]
        return max(1, min(self.rows, self.pixels // (height * width)))


@dataclass(eq=False, slots=True)
class Waiting:
    """The images ``(n, H, W, C)`` of one request, or a part of them, before and while they are run.

    Attributes:
        arrived: when, on the clock of ``time.perf_counter``.
        started: when their batch was, on the same clock; ``ended``: when that was done.
        answer: becomes their logits, or the reason why there are none; whoever cancels it is not waiting any more.
    """

    images: Images
    answer: Future[Array]
    arrived: float
    started: float = 0.0
    ended: float = 0.0

    def trace(self) -> None:
        """Add the wait and the run to the trace of the request that is being answered."""
        stage("queue", self.arrived, self.started)
        stage("inference", self.started, self.ended)


class BatchQueue:
    """A queue of images for one network, first in, first out; only images of one shape share a batch.

    Not safe to call from several threads at once.
    """

    def __init__(self, limits: BatchLimits) -> None:
        self.limits = limits
        self.rows = 0
        self._by_shape: dict[Shape, deque[Waiting]] = {}

    def __bool__(self) -> bool:
        return bool(self.rows)

    def put(self, item: Waiting) -> None:
        """Add images to the queue.

        Raises:
            BusyError: too many are waiting already.
            TooLargeError: more came at once than may ever wait.
        """
        count = len(item.images)
        if count > self.limits.waiting:
            raise TooLargeError(f"at most {self.limits.waiting} images may wait for a network; {count} came at once")
        self.check_room(count)
        self.rows += count
        self._by_shape.setdefault(item.images.shape[1:], deque()).append(item)

    def check_room(self, count: int) -> None:
        """Refuse images that would overfill the queue (backpressure).

        Raises:
            BusyError: too many are waiting already.
        """
        if self.rows + count > self.limits.waiting:
            raise BusyError(
                f"at most {self.limits.waiting} images may wait for this network; {self.rows} do; ask again in a second"
            )

    def drop(self, item: Waiting) -> bool:
        """Remove images whose request was given up; return whether they were still in the queue."""
        line = self._by_shape.get(item.images.shape[1:], deque())
        if item not in line:
            return False
        line.remove(item)
        self._left(line, item)
        return True

    def take(self, share: int) -> list[Waiting]:
        """Take the next batch: the images that have waited longest, and others of their shape; empty if none wait.

        Args:
            share: most images to take, unless the first request has more.
        """
        if not self._by_shape:
            return []
        line = min(self._by_shape.values(), key=_arrival)
        batch = [self._pop(line)]
        rows = len(batch[0].images)
        most = min(share, self.limits.rows_of(batch[0].images.shape[1:]))
        while line and rows + len(line[0].images) <= most:
            batch.append(self._pop(line))
            rows += len(batch[-1].images)
        return batch

    def oldest(self) -> float:
        """Return when the images that have waited longest arrived."""
        return min(map(_arrival, self._by_shape.values()))

    def full_batch(self) -> bool:
        """Return whether enough images of one shape wait for a whole batch."""
        return self.rows >= self.limits.rows and any(
            sum(len(item.images) for item in line) >= self.limits.rows for line in self._by_shape.values()
        )

    def _pop(self, line: deque[Waiting]) -> Waiting:
        item = line.popleft()
        self._left(line, item)
        return item

    def _left(self, line: deque[Waiting], item: Waiting) -> None:
        self.rows -= len(item.images)
        if not line:
            del self._by_shape[item.images.shape[1:]]


def _arrival(line: deque[Waiting]) -> float:
    return line[0].arrived
