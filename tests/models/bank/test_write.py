"""A bank's scores are those of the matching, to 1e-4, and what it writes can be trusted."""

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
import skimage.data

from models.bank.graph import CHUNK, Template
from models.bank.write import write_bank
from models.cards.card import read_card
from models.cards.catalogue import entries, find
from models.runtime.load import load_model
from scs.errors import ExportError, OptionError, ShapeError
from scs.matching.scores import score_map

TOLERANCE = 5e-5  # times p: 1e-4 for the default of 2


def disc(height, width):
    """Ones in an ellipse, zeros around it."""
    rows, columns = np.mgrid[:height, :width]
    return ((((rows + 0.5) / height - 0.5) ** 2 + ((columns + 0.5) / width - 0.5) ** 2) < 0.2).astype(float)


def soft(height, width):
    """Weights that fall from the middle, as those of a feathered cut-out."""
    rows, columns = np.mgrid[:height, :width]
    return np.exp(-4 * (((rows + 0.5) / height - 0.5) ** 2 + ((columns + 0.5) / width - 0.5) ** 2))


MASKS = {"unmasked": None, "disc": disc, "soft": soft}


def scene_of(colour):
    picture = skimage.data.coffee() if colour else skimage.data.camera()[..., None]
    return np.ascontiguousarray(picture[130:290, 90:290])


def cut(scene, label, row, column, height, width, mask=None):
    return Template(label, scene[row : row + height, column : column + width], mask and mask(height, width))


def some(scene, mask=None, size=(24, 30)):
    places = {"first": (10, 20), "second": (70, 100), "third": (110, 30)}
    return [cut(scene, label, *place, *size, mask) for label, place in places.items()]


@pytest.fixture
def written(tmp_path):
    """Write a bank and load it as the service does; its card and the model."""

    def write(templates, **options):
        card = write_bank("bank", templates, tmp_path / "models", **options)
        entry = find(tmp_path / "models", "bank", card.version)
        return card, load_model(entry.verified_bytes(), entry.card(), "cpu")

    return write


def maps_of(model, card, scene):
    """Logits and, by its label, every template's map."""
    maps = model.layers(scene[None], [layer.name for layer in card.layers])
    by_label = {
        label: maps[layer.name][0, channel] for layer in card.layers for channel, label in enumerate(layer.labels)
    }
    return maps["logits"][0], by_label


def assert_equal_to_matching(model, card, scene, templates, **options):
    logits, maps = maps_of(model, card, scene)
    assert model.logits(scene[None])[0] == pytest.approx(logits, abs=1e-6)
    for template, logit in zip(templates, logits, strict=True):
        expected = score_map(scene, template.pixels, mask=template.weights, **options).scores
        np.testing.assert_allclose(maps[template.label], expected, rtol=0, atol=TOLERANCE * card.bank.p)
        assert logit == maps[template.label].max()


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
@pytest.mark.parametrize("method", ["scs", "scs_centred"])
def test_scores_equal_those_of_the_matching(written, method, colour, mask):
    scene = scene_of(colour)
    templates = some(scene, mask)
    card, model = written(templates, method=method)
    assert_equal_to_matching(model, card, scene, templates, method=method)


@pytest.mark.parametrize("picture", ["astronaut", "chelsea", "page"])
@pytest.mark.parametrize("method", ["scs", "scs_centred"])
def test_scores_of_large_templates_equal_those_of_the_matching_on_photographs(written, method, picture):
    scene = getattr(skimage.data, picture)()
    scene = np.ascontiguousarray(scene.reshape(*scene.shape[:2], -1)[:190, :200])
    templates = [cut(scene, "one", 20, 30, 64, 64), cut(scene, "other", 100, 120, 64, 64)]
    card, model = written(templates, method=method)
    assert_equal_to_matching(model, card, scene, templates, method=method)


@pytest.mark.parametrize("p, q", [(1.0, 0.0), (1.5, 40.0), (5.0, 200.0)])
def test_scores_equal_those_of_the_matching_for_any_p_and_q(written, p, q):
    scene = scene_of(True)
    card, model = written(some(scene), method="scs_centred", p=p, q=q)
    assert (card.bank.p, card.bank.q) == (p, q)
    assert_equal_to_matching(model, card, scene, some(scene), method="scs_centred", p=p, q=q)


@pytest.mark.parametrize("method", ["scs", "scs_centred"])
@pytest.mark.parametrize("level", [0, 3, 250])
def test_scores_equal_those_of_the_matching_where_a_scene_is_faint(written, method, level):
    """Noise of one grey level: energies in float32 would be off in the third digit."""
    template = scene_of(False)[20:84, 30:94]
    faint = np.random.default_rng(0).integers(level, level + 3, (90, 100, 1)).astype(np.uint8)
    card, model = written([Template("corner", template)], method=method)
    assert_equal_to_matching(model, card, faint, [Template("corner", template)], method=method)


def test_scores_under_a_soft_mask_are_near_those_of_the_matching_where_a_scene_is_faint(written):
    template = Template("corner", scene_of(False)[20:84, 30:94], soft(64, 64))
    faint = np.random.default_rng(0).integers(250, 253, (90, 100, 1)).astype(np.uint8)
    card, model = written([template])
    _, maps = maps_of(model, card, faint)
    expected = score_map(faint, template.pixels, "scs_centred", mask=template.weights).scores
    np.testing.assert_allclose(maps["corner"], expected, rtol=0, atol=2e-3)


@pytest.mark.parametrize("method", ["scs", "scs_centred"])
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_a_flat_patch_scores_0(written, method, mask):
    scene = scene_of(True).copy()
    scene[:60, :80] = 0 if method == "scs" else (200, 90, 31)
    templates = [cut(scene, "cup", 80, 100, 20, 26, mask)]
    card, model = written(templates, method=method)
    _, maps = maps_of(model, card, scene)
    assert (maps["cup"][:40, :54] == 0).all() and maps["cup"].max() == pytest.approx(1, abs=2 * TOLERANCE)
    assert_equal_to_matching(model, card, scene, templates, method=method)


def test_the_largest_contrast_in_a_large_window_is_still_close(written):
    random = np.random.default_rng(1)
    scene = (255 * random.integers(0, 2, (130, 140, 3))).astype(np.uint8)
    templates = [Template("noise", scene[5:105, 9:117])]
    card, model = written(templates)
    assert_equal_to_matching(model, card, scene, templates, method="scs_centred")


def test_templates_of_several_sizes_with_and_without_masks_keep_their_order(written):
    scene = scene_of(True)
    templates = [
        cut(scene, "masked", 5, 5, 20, 30, disc),
        cut(scene, "tall", 60, 20, 40, 16),
        cut(scene, "plain", 100, 90, 20, 30),
        cut(scene, "soft", 30, 120, 20, 30, soft),
        cut(scene, "tall too", 10, 150, 40, 16, disc),
    ]
    card, model = written(templates)
    assert card.labels == ["masked", "tall", "plain", "soft", "tall too"]
    assert [(layer.name, layer.labels) for layer in card.layers] == [
        ("templates-30x20", ["masked", "plain", "soft"]),
        ("templates-16x40", ["tall", "tall too"]),
    ]
    assert_equal_to_matching(model, card, scene, templates, method="scs_centred")


def test_more_templates_than_are_compared_at_once_keep_their_order(written):
    scene = scene_of(False)
    random = np.random.default_rng(2)
    places = random.integers(0, [140, 180], (2 * CHUNK + 3, 2))
    templates = [cut(scene, f"{i}", *place, 12, 14, disc if i % 3 else None) for i, place in enumerate(places)]
    card, model = written(templates)
    assert_equal_to_matching(model, card, scene, templates, method="scs_centred")


def test_pictures_of_a_batch_do_not_mix(written):
    scene, other = scene_of(True), scene_of(True)[::-1, ::-1]
    card, model = written(some(scene, soft))
    both = model.logits(np.stack([scene, other]))
    assert both == pytest.approx(np.concatenate([model.logits(scene[None]), model.logits(other[None])]), abs=1e-6)


def test_the_card_says_what_a_service_needs_to_know(written):
    scene = scene_of(True)
    card, _ = written(some(scene), method="scs", p=3.0, q=10.0)
    assert (card.family, card.labels, card.parameters) == ("bank", ["first", "second", "third"], 3 * 24 * 30 * 3)
    assert card.bank.model_dump() == {"method": "scs", "p": 3.0, "q": 10.0}
    assert card.input.smallest_size == (card.input.width, card.input.height) == (30, 24)
    assert card.input.channels == 3 and not card.input.resize
    (layer,) = card.layers
    assert layer.receptive_field.model_dump(exclude_defaults=True) == {
        "size": 24,
        "width": 30,
        "stride": 1,
        "offset": 0,
    }
    assert (layer.name, layer.channels, layer.signed) == ("templates", 3, False)
    assert card.class_map is None and card.accuracy is None


def test_every_writing_is_a_version_and_none_is_replaced(tmp_path):
    templates = some(scene_of(False))
    assert [write_bank("bank", templates, tmp_path).version for _ in range(2)] == [1, 2]
    assert write_bank("bank", templates, tmp_path, version=7).version == 7
    before = (tmp_path / "bank" / "2" / "model.onnx").read_bytes()
    with pytest.raises(OptionError, match="not taken; bank 2 is"):
        write_bank("bank", templates[:1], tmp_path, version=2)
    assert (tmp_path / "bank" / "2" / "model.onnx").read_bytes() == before
    assert [entry.version for entry in entries(tmp_path)] == [1, 2, 7]


def test_a_bank_that_does_not_find_its_templates_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr("models.bank.write._TOLERANCE", -1)
    with pytest.raises(ExportError, match="'first' needs the score 1.000000 with itself"):
        write_bank("bank", some(scene_of(False)), tmp_path)
    assert not list(tmp_path.rglob("*.onnx"))


def test_a_writing_that_is_cut_short_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(card, path):
        raise KeyboardInterrupt

    monkeypatch.setattr("models.cards.write.write_card", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bank("bank", some(scene_of(False)), tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [] == list(entries(tmp_path))


def test_equal_banks_are_equal_files(tmp_path):
    cards = [write_bank(name, some(scene_of(True), soft), tmp_path) for name in ("one", "two")]
    assert cards[0].sha256 == cards[1].sha256


def test_templates_are_kept_once_and_the_file_is_little_larger_than_they(tmp_path):
    card = write_bank("bank", some(scene_of(True), size=(64, 64)), tmp_path)
    size = (tmp_path / "bank" / "1" / "model.onnx").stat().st_size
    assert size < 4 * card.parameters + 20_000
    model = onnx.load(tmp_path / "bank" / "1" / "model.onnx")
    assert {(function.domain, function.name) for function in model.functions} >= {("ai.scs", "Sharpen")}


def test_torch_is_not_needed(tmp_path):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np; from pathlib import Path; from models.bank.write import Template, write_bank\n"
        "pixels = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)\n"
        f"print(write_bank('bank', [Template('a', pixels)], Path({str(tmp_path)!r})).model_dump_json())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(read_card(tmp_path / "bank" / "1" / "card.json").model_dump_json())


@pytest.mark.parametrize(
    "change, said",
    [
        ({"method": "ccoeff"}, "compares by scs or scs_centred; 'ccoeff' came"),
        ({"p": 0.5}, "1 or more; 0.5 came"),
        ({"q": -1.0}, "0 or more; -1.0 came"),
        ({"name": "../bank"}, "'../bank' came"),
        ({"version": 0}, "bank 0"),
        ({"templates": []}, "none came"),
        ({"templates": some(scene_of(False)) * 2}, "2 are called 'first'"),
        ({"templates": [Template("wall", np.full((8, 8, 3), 90, np.uint8))]}, "'wall' is flat"),
        ({"templates": some(scene_of(False), lambda height, width: np.zeros((height, width)))}, "'first' is flat"),
        ({"templates": some(scene_of(False), lambda height, width: np.full((height, width), -1))}, "0 or more"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path, change, said):
    wanted = {"name": "bank", "templates": some(scene_of(False)), "repository": tmp_path, **change}
    with pytest.raises(OptionError, match=said.replace("(", r"\(")):
        write_bank(**wanted)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "templates, said",
    [
        ([Template("a", np.zeros((8, 8), np.uint8))], "'a' is uint8"),
        ([Template("a", np.zeros((8, 8, 1), np.float32))], "'a' is float32"),
        (some(scene_of(False))[:1] + some(scene_of(True))[1:], "'second' has 3 and 'first' 1"),
        (some(scene_of(False), lambda height, width: np.ones((height, 2))), r"\(24, 2\), not \(24, 30\)"),
    ],
)
def test_templates_that_do_not_fit_each_other_or_their_masks_are_refused(tmp_path, templates, said):
    with pytest.raises(ShapeError, match=said):
        write_bank("bank", templates, tmp_path)
