import asyncio
import gc

import numpy as np
import pytest

from scs.errors import BusyError, UnknownNameError
from service.api.files import NamedBytes
from service.memory_budget import MemoryBudget
from service.picture_cache.cache import PictureCache
from service.picture_cache.kept import KeptMaps, View
from service.pictures.picture import Region
from service.workers.shared_arrays import SharedArrays

VIEW = View((8, 8), Region(0, 0, 8, 8))


class Model:
    """Stands for a loaded model, of which only the identity counts."""


def picture(text, size=1000):
    return NamedBytes(text, text.encode().ljust(size))


def maps(digest, count=100, name="block1"):
    return KeptMaps(digest, VIEW, SharedArrays.write({name: np.full(count, 7, np.float32)}))


def inside(work):
    """Run on an event loop, as the cache is used."""
    return asyncio.run(work())


def test_a_picture_is_known_by_the_digest_of_its_bytes_and_others_are_not():
    async def work():
        cache = PictureCache(10_000, 60, MemoryBudget(100_000))
        named = await cache.remember(picture("cat"))
        assert cache.picture(f"sha256:{named.digest}") is named
        with pytest.raises(UnknownNameError, match="no picture sha256:0{12}… is known here, or not any more"):
            cache.picture("sha256:" + 64 * "0")
        cache.close()

    inside(work)


def test_the_cache_is_bounded_and_what_was_not_asked_for_longest_goes_first():
    async def work():
        memory = MemoryBudget(100_000)
        cache = PictureCache(2500, 60, memory)
        first, second = [await cache.remember(picture(name)) for name in ("first", "second")]
        cache.picture(f"sha256:{first.digest}")
        await cache.remember(picture("third"))
        assert (cache.nbytes, memory.taken) == (2000, 2000)
        assert cache.picture(f"sha256:{first.digest}") is first
        with pytest.raises(UnknownNameError):
            cache.picture(f"sha256:{second.digest}")
        assert (await cache.remember(picture("large", 1300))).digest is None, "more than half of the cache is not kept"
        cache.close()
        assert memory.taken == 0

    inside(work)


def test_what_is_kept_gives_way_to_requests_and_never_takes_what_they_need():
    async def work():
        memory = MemoryBudget(4000)
        cache = PictureCache(2000, 60, memory)
        kept = await cache.remember(picture("kept"))
        memory.take(3500, "requests")
        assert (cache.nbytes, memory.taken) == (0, 3500)
        with pytest.raises(UnknownNameError):
            cache.picture(f"sha256:{kept.digest}")
        with pytest.raises(BusyError):
            memory.take(600, "requests")
        await cache.remember(picture("no room"))
        assert (cache.nbytes, memory.taken) == (0, 3500)
        cache.close()

    inside(work)


def test_pictures_are_forgotten_when_their_time_is_over_though_nobody_asks():
    async def work():
        memory = MemoryBudget(100_000)
        cache = PictureCache(10_000, 0.05, memory)
        await cache.remember(picture("cat"))
        assert memory.taken == 1000
        while memory.taken:
            await asyncio.sleep(0.01)
        cache.close()

    inside(work)


def test_maps_are_those_of_the_model_that_made_them_and_go_with_it():
    async def work():
        memory = MemoryBudget(100_000)
        cache = PictureCache(10_000, 60, memory)
        file = await cache.remember(picture("cat"))
        model, other = Model(), Model()
        cache.keep(model, [maps(file.digest)])
        cache.keep(other, [maps(file.digest, 50), maps("another")])
        assert [each.maps.read("block1").size for each in cache.maps(model, [file])] == [100]
        assert [each.maps.read("block1").size for each in cache.maps(other, [file])] == [50]
        del model
        gc.collect()
        await asyncio.sleep(0)
        assert memory.taken == cache.nbytes == 1000 + 256 + 448
        assert cache.picture(f"sha256:{file.digest}") is file, "the picture stays"
        cache.close()

    inside(work)


@pytest.mark.parametrize(("most", "seconds"), [(0, 60), (10_000, 0)])
def test_nothing_is_kept_where_the_settings_say_so(most, seconds):
    async def work():
        cache = PictureCache(most, seconds, MemoryBudget(100_000))
        assert (await cache.remember(picture("cat"))).digest is None
        cache.close()

    inside(work)
