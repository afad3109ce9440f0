"""The warm-up of matching, so that requests need not wait for its loops to be compiled or loaded."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_log = logging.getLogger(__name__)

_DELAY_S = 1.0  # lets the first requests through


@contextmanager
def warming_up(prepare: Callable[[], object], after: asyncio.Task[None]) -> Iterator[None]:
    """Call a function on a thread, a second after a task is done, unless the context has ended by then."""
    waiting = asyncio.create_task(_prepare_after(after, prepare))
    try:
        yield
    finally:
        waiting.cancel()


async def _prepare_after(task: asyncio.Task[None], prepare: Callable[[], object]) -> None:
    await asyncio.wait([task])
    await asyncio.sleep(_DELAY_S)
    thread = threading.Thread(target=_try, args=[prepare], name="warm-up", daemon=True)  # a stop does not wait for it
    thread.start()


def warm_up() -> None:
    """Run each kind of match once, on a few pixels, which compiles its loops."""
    import numpy as np

    from scs.matching.finding import Search, find

    scene = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    scene[:, :32] = 100 + scene[:, :32] // 100  # nearly flat, where rounding may show and is measured
    grey = np.ascontiguousarray(scene[..., 0])
    for side in (5, 24):
        for pixels in (scene, grey, grey.astype(np.float32)):
            template = pixels[30 : 30 + side, 40 : 40 + side]
            for method in ("ccoeff_normed", "sqdiff", "scs"):
                find(pixels, [template], Search(method))
            find(pixels, [template], masks=[np.ones((side, side), np.float32)])
    large = scene.repeat(9, axis=0).repeat(9, axis=1)  # as large as what is searched from coarse to fine
    for pixels in (large, np.ascontiguousarray(large[..., :1])):
        find(pixels, [np.ascontiguousarray(pixels[270:310, 360:420])])
    find(grey, [grey[30:54, 40:64]], Search(angles="auto", scales="0.8:1.2"))


def freeze_heap() -> None:
    """Exclude all objects that exist now from garbage collection, as they stay.

    Going through it takes a tenth of a second in which nobody is answered, and happened every second under load.
    """
    gc.collect()
    gc.freeze()


def _try(prepare: Callable[[], object]) -> None:
    try:
        prepare()
    except Exception:  # the first match will say to its caller what is wrong
        _log.exception("matching could not be made ready")


if __name__ == "__main__":
    warm_up()
