"""`scs match`: pictures, masks, references and sounds, what it writes, and its exit status as grep's."""

import json
import wave
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image


@pytest.fixture
def part(tmp_path, photograph) -> Path:
    path = tmp_path / "part.png"
    Image.fromarray(photograph[100:160, 120:200]).save(path)
    return path


def test_match_here_and_at_a_server_say_the_same(scs, photo, part, server):
    asked = ("match", photo, part, "--angles=-20:20", "--top", 2, "--json")
    here, there = (json.loads(scs(*asked, *extra).stdout) for extra in ((), ("--url", server)))
    assert {**here, "timing": None} == {**there, "timing": None}
    assert [here["matches"][0]["x"], here["matches"][0]["y"]] == pytest.approx([160, 130], abs=0.5)


def test_match_draws_what_it_found_and_writes_the_scores(scs, photo, part, tmp_path, server):
    for name, extra in (("here", ()), ("there", ("--url", server))):
        out, heat = tmp_path / f"{name}.png", tmp_path / f"{name}.npy"
        made = scs("match", photo, part, "--out", out, "--heatmap", heat, *extra)
        assert made.returncode == 0, made.stderr
        assert "part.png" in made.stdout and "yes" in made.stdout
        assert np.load(heat).shape == (241, 372)
        with Image.open(out) as drawn, Image.open(photo) as scene:
            changed = np.abs(np.asarray(drawn, int) - np.asarray(scene, int)).max(2) > 0
        sides = changed[98:103, 120:200].any(0), changed[100:160, 118:123].any(1), changed[100:160, 198:203].any(1)
        assert all(side.mean() > 0.9 for side in sides), "the outline"
        assert not changed[110:150, 130:190].any() and not changed[200:].any(), "and no more"
    assert np.array_equal(np.load(tmp_path / "here.npy"), np.load(tmp_path / "there.npy"))


@pytest.mark.parametrize("suffix", ["png", "npz"])
def test_match_writes_a_heatmap_of_every_kind(scs, photo, part, tmp_path, suffix):
    made = scs("match", photo, part, "--heatmap", tmp_path / f"heat.{suffix}")
    assert made.returncode == 0, made.stderr
    if suffix == "png":
        with Image.open(tmp_path / "heat.png") as image:
            assert image.size == (372, 241)
    else:
        assert np.load(tmp_path / "heat.npz")["scores"].shape == (241, 372)


def test_match_finds_a_box_of_a_reference_and_a_motif_in_a_signal(scs, photo, tmp_path):
    boxed = scs("match", photo, "--reference", photo, "--box", "120,100,80,60", "--json")
    assert boxed.returncode == 0, boxed.stderr
    assert json.loads(boxed.stdout)["matches"][0]["x"] == pytest.approx(160, abs=0.1)

    series = np.random.default_rng(0).normal(size=2000).cumsum()
    np.save(tmp_path / "series.npy", series)
    np.save(tmp_path / "motif.npy", series[700:800])
    found = scs("match", "series.npy", "motif.npy")
    assert found.returncode == 0 and "position" in found.stdout
    assert any(f" {place} " in found.stdout for place in ("699.99", "700.00", "700.01")), found.stdout


def write_wav(path: Path, samples: np.ndarray, rate: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((samples.shape[1], 2, rate, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())


def test_match_says_where_a_sound_is_in_samples_and_in_seconds(scs, tmp_path, server):
    both = np.random.default_rng(0).integers(-9000, 9000, (4000, 2))
    write_wav(tmp_path / "scene.wav", both, 8000)
    write_wav(tmp_path / "part.wav", both[2000:2200], 8000)
    write_wav(tmp_path / "fast.wav", both[2000:2200], 16000)
    for extra in ((), ("--url", server)):
        found = scs("match", "scene.wav", "part.wav", *extra)
        assert found.returncode == 0, found.stderr
        assert "seconds" in found.stdout and "0.2500" in found.stdout
    refused = scs("match", "scene.wav", "fast.wav")
    assert refused.returncode == 2 and "fast.wav has 16000 a second and scene.wav 8000" in refused.stderr
    undrawn = scs("match", "scene.wav", "part.wav", "--out", "found.png")
    assert undrawn.returncode == 2 and "a signal has no picture" in undrawn.stderr


def test_match_with_a_mask(scs, photo, photograph, tmp_path):
    half = photograph[100:160, 120:200].copy()
    half[:, 40:] = 0
    mask = np.zeros((60, 80), np.uint8)
    mask[:, :40] = 255
    Image.fromarray(half).save(tmp_path / "half.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    found = json.loads(scs("match", photo, "half.png", "--mask", "mask.png", "--json").stdout)
    assert found["matches"][0]["score"] > 0.98 and found["templates"][0]["masked"]


def test_match_of_what_is_not_there_ends_with_one_line_and_status_1(scs, photo, tmp_path):
    Image.fromarray(skimage.data.coffee()[50:110, 50:120]).save(tmp_path / "cup.png")
    for extra, said in (
        ((), "search --angles or --scales"),
        (("--angles", "0,90"), "another size, search --scales"),
        (("--method", "pixels"), "leave out --method pixels"),
        (("--threshold", 2), "better than the threshold"),
    ):
        nothing = scs("match", photo, "cup.png", "--json", *extra)
        assert nothing.returncode == 1
        assert nothing.stderr.startswith("scs: not present") and nothing.stderr.count("\n") == 1
        assert said in nothing.stderr
        assert not any(match["present"] for match in json.loads(nothing.stdout)["matches"])


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (["missing.png", "eye.png"], {}, "No such file or directory: missing.png"),
        (["words.png", "eye.png"], {}, "scene: an image (JPEG"),
        (["cat.jpg", "flat.png"], {}, "'flat.png' is of one colour"),
        (["eye.png", "cat.jpg"], {}, "a template must fit inside its scene"),
        (["cat.jpg", "eye.png"], {"SCS_MAX_MATCH_PIXELS": "99"}, "the setting is SCS_MAX_MATCH_PIXELS"),
        (["cat.jpg", "eye.png"], {"SCS_MAX_MATCH_WORK": "9"}, "(SCS_MAX_MATCH_WORK)"),
        (["cat.jpg", "eye.png", "--url", "http://127.0.0.1:1"], {}, "no answer from http://127.0.0.1:1"),
    ],
    ids=["missing", "no picture", "one colour", "larger", "pixels", "work", "no server"],
)
def test_match_that_could_not_look_ends_with_status_2(scs, photo, tmp_path, arguments, settings, said):
    Image.open(photo).crop((20, 20, 50, 50)).save(tmp_path / "eye.png")
    Image.new("RGB", (9, 9), (200, 30, 40)).save(tmp_path / "flat.png")
    (tmp_path / "words.png").write_text("no picture")
    ended = scs("match", *arguments, **settings)
    assert ended.returncode == 2
    assert ended.stderr.startswith("scs: could not look: ") and said in ended.stderr


def test_match_finds_a_glyph_on_transparency_by_its_outline_and_says_so(scs, tmp_path):
    glyph = np.zeros((24, 24, 4), np.uint8)
    glyph[..., :3] = 200, 30, 40
    glyph[4:20, 10:14, 3] = glyph[10:14, 4:20, 3] = 255
    scene = np.full((100, 120, 3), 230, np.uint8)
    scene[30:54, 60:84][glyph[..., 3] > 0] = 200, 30, 40
    Image.fromarray(glyph).save(tmp_path / "plus.png")
    Image.fromarray(scene).save(tmp_path / "scene.png")
    found = scs("match", "scene.png", "plus.png", "--top", 1)
    assert found.returncode == 0, found.stderr
    assert "by its outline" in found.stdout and "72.0" in found.stdout


def test_match_takes_polarity_border_and_region(scs, tmp_path):
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 256, (80, 100), dtype=np.uint8)
    np.save(tmp_path / "scene.npy", scene.astype(np.int16))
    np.save(tmp_path / "inverse.npy", 255 - scene[20:40, 30:50].astype(np.int16))
    cut = rng.integers(0, 256, (20, 20)).astype(np.int16)
    cut[:, 6:] = scene[50:70, :14]
    np.save(tmp_path / "cut.npy", cut)
    asked = ("match", "scene.npy", "inverse.npy", "--top", 1, "--json")
    assert scs(*asked).returncode == 1
    inverse = json.loads(scs(*asked, "--polarity", "either", "--region", "20,10,60,60").stdout)["matches"][0]
    assert inverse["score"] == pytest.approx(-1, abs=1e-5)
    assert (inverse["x"], inverse["y"]) == pytest.approx((40, 30), abs=0.1)
    part = json.loads(scs("match", "scene.npy", "cut.npy", "--top", 1, "--json", "--border", "partial").stdout)
    assert part["matches"][0]["visible"] == pytest.approx(0.7, abs=0.01) and part["matches"][0]["present"]
