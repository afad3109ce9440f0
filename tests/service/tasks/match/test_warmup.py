import asyncio
import logging
import subprocess
import sys
import threading

import service.tasks.match.warmup
from service.tasks.match.warmup import warm_up, warming_up


def test_what_is_warmed_up_is_what_a_match_runs(monkeypatch):
    import scs.matching.finding as finding

    methods, find = set(), finding.find

    def watched(scene, templates, search=None, **options):
        methods.add((search or finding.Search()).method)
        return find(scene, templates, search, **options)

    monkeypatch.setattr(finding, "find", watched)
    warm_up()
    assert {"ccoeff_normed", "sqdiff", "scs"} <= methods


def test_it_runs_on_a_thread_of_its_own_once_the_models_are_loaded(monkeypatch):
    monkeypatch.setattr(service.tasks.match.warmup, "_DELAY_S", 0)
    steps = []
    ran = threading.Event()

    def prepare():
        steps.append(threading.current_thread().name)
        ran.set()

    async def load():
        await asyncio.sleep(0.05)
        steps.append("loaded")

    async def serve():
        with warming_up(prepare, after=asyncio.create_task(load())):
            assert await asyncio.to_thread(ran.wait, 20)

    asyncio.run(serve())
    assert steps == ["loaded", "warm-up"]


def test_a_service_that_stops_at_once_has_compiled_nothing():
    ran = []

    async def serve():
        with warming_up(lambda: ran.append(True), after=asyncio.create_task(asyncio.sleep(0))):
            await asyncio.sleep(0.01)

    asyncio.run(serve())
    assert not ran and "warm-up" not in {thread.name for thread in threading.enumerate()}


def test_what_goes_wrong_is_logged_and_does_no_harm(caplog):
    with caplog.at_level(logging.ERROR, "service.tasks.match.warmup"):
        service.tasks.match.warmup._try(lambda: 1 / 0)
    assert "could not be made ready" in caplog.text


def test_the_first_match_on_a_photograph_compiles_and_loads_no_loop():
    code = (
        "import gc, numpy as np, skimage.data\n"
        "from numba.core.dispatcher import Dispatcher\n"
        "from scs.matching.finding import find\n"
        "from service.tasks.match.warmup import warm_up\n"
        "def forms():\n"
        "    loops = [each for each in gc.get_objects() if isinstance(each, Dispatcher)]\n"
        "    ours = [each for each in loops if each.__module__.startswith('scs.')]\n"
        "    return {(loop.__name__, str(form)) for loop in ours for form in loop.signatures}\n"
        "warm_up(); before = forms()\n"
        "scene = np.tile(skimage.data.astronaut(), (2, 2, 1))\n"
        "for pixels in (scene, scene[..., :1].copy()):\n"
        "    find(pixels, [pixels[60:110, 200:260].copy()])\n"
        "assert {'_to_best_around', '_add_energies'} <= {name for name, _ in before}, before\n"
        "print(*forms() - before, sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("", 0), done.stderr
