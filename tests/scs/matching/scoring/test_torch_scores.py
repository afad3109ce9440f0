from __future__ import annotations

import builtins
import itertools
import sys

import numpy as np
import pytest
import torch
from skimage import data

from scs.errors import DeviceError, MissingPackageError, ShapeError
from scs.matching.finding import Search, find
from scs.matching.methods import METHODS
from scs.matching.scores import score_map, score_maps
from scs.matching.scoring import torch_scores

NORMALISED = [name for name, method in METHODS.items() if method.normalised]
SIZES = [(3, 4), (7, 6), (30, 25)]  # convolved, and by spectra
CAMERA = data.camera()
COLOUR = data.astronaut()

without_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device that torch can use")
on_each_device = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=without_cuda)])


@pytest.fixture(autouse=True)
def one_thread():
    """Torch's threads wait for each other at every small step, which takes ten times as long on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def random(*shape):
    return np.random.default_rng(0).random(shape)


def exact(scene, template, method, **options):
    """In float64, which takes the other implementation's exact way."""
    return score_map(scene.astype(np.float64), template.astype(np.float64), method, **options)


def error(found, expected, method):
    spread = 1 if METHODS[method].normalised else np.abs(expected.scores).max()
    return np.abs(found.scores - expected.scores).max() / spread


def scenes():
    grey = CAMERA[100:150, 200:260]
    yield "uint8", grey
    yield "colour", COLOUR[100:150, 100:160]
    yield "uint16", grey.astype(np.uint16) * 257
    yield "float32", grey.astype(np.float32) / 255
    yield "float64 far from zero", grey / 255 + 1000
    yield "features", np.random.default_rng(0).normal(size=(50, 60, 7)).astype(np.float32)
    yield "a dark sky beside a bright tower", np.where(np.arange(60) > 25, CAMERA[0:50, 0:60] // 64, grey)
    yield "large numbers", (grey * 1e15).astype(np.float32)


@on_each_device
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("name", "scene"), list(scenes()), ids=[name for name, _ in scenes()])
def test_a_device_gives_the_scores_of_the_cpu(name, scene, method, device):
    q = 0.3 if METHODS[method].kind == "similarity" else 0.0
    for height, width in SIZES:
        template = scene[9 : 9 + height, 11 : 11 + width]
        found = score_map(scene, template, method, q=q, device=device)
        assert found.scores.dtype == np.float32
        assert error(found, exact(scene, template, method, q=q), method) < 1e-5


@on_each_device
@pytest.mark.parametrize("size", [(6, 6), (40, 40)])
def test_a_scene_of_many_blocks_is_put_together_again(size, device):
    scene = np.tile(CAMERA, (1, 2))
    template = scene[200 : 200 + size[0], 300 : 300 + size[1]]
    for method in ("sqdiff", "ccorr_normed"):
        found = score_map(scene, template, method, device=device)
        assert error(found, exact(scene, template, method), method) < 1e-5


@on_each_device
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", SIZES)
def test_a_device_gives_the_scores_of_the_cpu_under_masks(method, size, device):
    rng = np.random.default_rng(1)
    for scene, mask in itertools.product(
        (CAMERA[100:150, 200:260], COLOUR[100:150, 100:160], CAMERA[100:150, 200:260].astype(np.float32)),
        (rng.random(size) > 0.4, rng.random(size).astype(np.float32), np.eye(*size, dtype=np.uint8) * 255),
    ):
        template = scene[9 : 9 + size[0], 11 : 11 + size[1]]
        found = score_map(scene, template, method, mask=mask, device=device)
        assert error(found, exact(scene, template, method, mask=mask), method) < 1e-5


@on_each_device
def test_every_channel_may_have_its_own_mask(device):
    scene = COLOUR[100:140, 100:150]
    template, mask = scene[5:17, 6:20], random(12, 14, 3)
    mask[..., 1] = 0
    for method in METHODS:
        found = score_map(scene, template, method, mask=mask, device=device)
        assert error(found, exact(scene, template, method, mask=mask), method) < 1e-5


@on_each_device
@pytest.mark.parametrize("p", [0.5, 1.0, 3.7])
def test_the_exponent_sharpens_on_a_device(p, device):
    scene = CAMERA[100:150, 200:260]
    for method in ("scs", "scs_centred"):
        found = score_map(scene, scene[3:20, 5:20], method, p=p, q=2.0, device=device)
        assert error(found, exact(scene, scene[3:20, 5:20], method, p=p, q=2.0), method) < 1e-5


@on_each_device
@pytest.mark.parametrize("method", NORMALISED)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("size", [(5, 5), (20, 20)])
def test_what_is_flat_is_never_a_match_on_a_device_and_is_counted(method, dtype, size, device):
    scene = CAMERA[100:160, 200:280].astype(dtype)
    scene[:, 40:] = 128 if METHODS[method].centred else 0
    worst = 1 if method == "sqdiff_normed" else 0
    found = score_map(scene, scene[10 : 10 + size[0], 5 : 5 + size[1]], method, device=device)
    assert (found.scores[:, 40:] == worst).all()
    assert found.flat == pytest.approx((80 - size[1] + 1 - 40) / (80 - size[1] + 1))
    found = score_map(scene, scene[10 : 10 + size[0], 50 : 50 + size[1]], method, device=device)
    assert (found.scores == worst).all()
    assert found.flat == 1


@on_each_device
def test_what_is_flat_in_a_scene_of_many_blocks_is_counted_once(device):
    scene = np.random.default_rng(0).integers(0, 256, (450, 900), dtype=np.uint8)
    scene[:, 600:800] = 77
    for side in (4, 64):
        flat = score_map(scene, scene[:side, :side], device=device).flat
        assert flat == pytest.approx((200 - side + 1) / (900 - side + 1), abs=1e-9)


@on_each_device
def test_a_constant_of_floating_point_is_flat_on_a_device_though_its_sums_round(device):
    scene = np.full((300, 300), 0.1, np.float32)
    scene[:, :20] = random(300, 20)
    found = score_map(scene, scene[:30, :20], "ccoeff_normed", device=device)
    assert (found.scores[:, 20:] == 0).all()


@on_each_device
def test_a_motif_is_found_in_a_long_series_on_a_device(device):
    rng = np.random.default_rng(0)
    motif = np.cumsum(rng.normal(size=200))
    series = 50 * rng.normal(size=100_000)
    series[70_123:70_323] = 0.2 * motif
    found = score_map(series, motif, "ccoeff_normed", device=device)
    assert found.scores.shape == (100_000 - 200 + 1,)
    assert found.scores.argmax() == 70_123
    assert error(found, score_map(series, motif, "ccoeff_normed"), "ccoeff_normed") < 1e-5


@on_each_device
@pytest.mark.parametrize("shape", [((1, 40), (1, 9)), ((40, 1), (39, 1)), ((9, 9), (9, 9)), ((1, 1), (1, 1))])
def test_the_narrowest_scenes_have_scores_on_a_device(shape, device):
    scene = random(*shape[0])
    scene.flags.writeable = False
    template = scene[-shape[1][0] :, -shape[1][1] :]
    found = score_map(scene, template, "ccorr_normed", mask=np.ones(shape[1]), device=device)
    assert error(found, score_map(scene, template, "ccorr_normed"), "ccorr_normed") < 1e-5


@on_each_device
def test_a_bank_on_a_device_gives_what_each_template_gives_alone(device, monkeypatch):
    monkeypatch.setattr(torch_scores, "_GROUP", 3)
    scene = CAMERA[:300, 200:500]
    templates = [scene[i : i + 20, 3 * i : 3 * i + 30] for i in range(0, 90, 10)] + [scene[5:45, 5:25]]
    masks = [None] * 4 + [random(20, 30)] * 2 + [None] * 4
    maps = list(score_maps(scene, templates, "scs_centred", masks=masks, device=device))
    assert len(maps) == len(templates)
    for found, template, mask in zip(maps, templates, masks, strict=True):
        assert error(found, exact(scene, template, "scs_centred", mask=mask), "scs_centred") < 1e-5


@on_each_device
def test_what_does_not_fit_the_memory_at_once_is_done_in_parts(device, monkeypatch):
    scene = np.tile(CAMERA, (1, 2))
    templates = [scene[i : i + 40, i : i + 40] for i in (0, 100)]
    at_once = list(score_maps(scene, templates, device=device))
    monkeypatch.setattr(torch_scores, "_WORKING_BYTES", 1)
    for whole, parts in zip(at_once, score_maps(scene, templates, device=device), strict=True):
        np.testing.assert_allclose(whole.scores, parts.scores, atol=1e-6)


@on_each_device
def test_a_template_is_found_on_a_device(device):
    here, there = (
        find(CAMERA, [CAMERA[100:130, 200:240]], Search("ccoeff", device=name)).matches[0] for name in (None, device)
    )
    assert (there.x, there.y) == pytest.approx((here.x, here.y), abs=1e-3)
    assert there.psr == pytest.approx(here.psr, rel=1e-3)


@on_each_device
def test_a_bank_on_a_device_is_checked_before_its_first_map_is_asked_for(device):
    with pytest.raises(ShapeError):
        score_maps(random(20, 20), [random(5, 5), random(30, 5)], device=device)


@pytest.mark.parametrize("device", ["cuda:77", "meta", "abacus"])
def test_a_device_that_is_not_there_is_named_before_the_first_map_is_asked_for(device):
    with pytest.raises(DeviceError, match=rf"\Adevice '{device}' cannot be used by torch here: .+\Z"):
        score_maps(random(20, 20), [random(5, 5)], device=device)


def test_a_device_without_torch_says_what_to_install(monkeypatch):
    def refuse(name, *rest, **more):
        if name == "scs.matching.scoring.torch_scores":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return imported(name, *rest, **more)

    imported = builtins.__import__
    monkeypatch.delitem(sys.modules, "scs.matching.scoring.torch_scores")
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingPackageError, match=r"device 'cuda' needs torch, which is not installed: pip install"):
        score_map(random(20, 20), random(5, 5), device="cuda")
