"""Matching in the features of a network, without HTTP and in this process."""

import io
import time

import numpy as np
import pytest

from models.cards.catalogue import find
from scs.errors import DeadlineError, FixedSizeError, ModelError
from service.api.files import MatchUpload, NamedBytes
from service.api.match import MatchOptions
from service.repository.loader import load_entry
from service.repository.sent_model import SentModel
from service.tasks.match.answer import FORMS, answer_match_in_network
from service.tasks.match.in_network import default_layer, find_in_network
from service.workers.channel import OpenFile

BOX = "120,100,80,60"


@pytest.fixture(scope="module")
def model(repository):
    return load_entry(find(repository, "shapes-scs"), "cpu", False)


@pytest.fixture(scope="module")
def scene(photograph, encode):
    return NamedBytes("cat.png", encode(photograph))


@pytest.fixture(scope="module")
def part(photograph, encode):
    return NamedBytes("part.png", encode(photograph[100:160, 120:200]))


def as_array(pixels):
    buffer = io.BytesIO()
    np.save(buffer, pixels)
    return NamedBytes("cat.npy", buffer.getvalue(), is_npy=True)


def look(model, upload, settings, deadline=float("inf"), **options):
    return find_in_network(model, upload, MatchOptions(**{"method": "features", **options}), settings, deadline)


@pytest.mark.parametrize("method", ["features", "parts"])
def test_a_box_is_found_at_itself(model, scene, settings, method):
    found = look(model, MatchUpload(scene, reference=scene), settings, method=method, box=BOX)
    best = found.matches[0]
    assert (best.x, best.y) == pytest.approx((160, 130), abs=1) and best.present
    assert found.network.layers == [default_layer(model.card).name]
    assert found.best().template == 0 and found.best().scored.scores.shape == (300 - 60 + 1, 451 - 80 + 1)


def test_the_best_of_several_templates_comes_first_whatever_its_number(
    model, scene, part, photograph, encode, settings
):
    elsewhere = NamedBytes("noise.png", encode(np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)))
    found = look(model, MatchUpload(scene, [elsewhere, part]), settings, layer="stem,block1")
    assert found.matches[0].template == 1
    assert [each.name for each in found.templates] == ["noise.png", "part.png"]
    assert (found.matches[0].x, found.matches[0].y) == pytest.approx((160, 130), abs=4)
    assert found.best().template == 1


def test_an_array_is_looked_at_as_the_picture_that_it_is(model, scene, photograph, settings):
    array = as_array(photograph)
    one, other = (look(model, MatchUpload(each, reference=each), settings, box=BOX) for each in (scene, array))
    assert one.matches[0].score == pytest.approx(other.matches[0].score, abs=1e-6)
    assert (one.matches[0].x, one.matches[0].y) == pytest.approx((other.matches[0].x, other.matches[0].y), abs=1e-3)


def test_a_scene_over_the_limit_of_analysed_pixels_is_shrunk_and_places_are_those_of_what_was_sent(
    model, scene, settings
):
    small = settings.model_copy(update={"max_analysed_pixels": 300 * 451 // 2})
    found = look(model, MatchUpload(scene, reference=scene), small, box=BOX)
    assert (found.width, found.height) == (451, 300)
    assert (found.matches[0].x, found.matches[0].y) == pytest.approx((160, 130), abs=2)


def test_what_cannot_be_looked_for_is_refused(model, scene, part, settings):
    with pytest.raises(DeadlineError, match="after 0 of 1 templates"):
        look(model, MatchUpload(scene, [part]), settings, deadline=time.monotonic() - 1)
    fixed = model.card.input.model_copy(update={"fixed": True})
    model_of_one_size = type(model)(model.card.model_copy(update={"input": fixed}), model.runtime)
    with pytest.raises(FixedSizeError, match="name a box of the scene"):
        look(model_of_one_size, MatchUpload(scene, [part]), settings)
    with pytest.raises(ModelError, match="shows no layers"):
        default_layer(model.card.model_copy(update={"layers": []}))


def test_it_is_answered_in_every_form_and_maps_are_made_once(repository, scene, settings):
    entry = find(repository, "shapes-scs")
    known = NamedBytes(scene.name, scene.content, digest="d" * 64)
    asked = MatchUpload(known, reference=known), MatchOptions(method="features", box=BOX), settings
    for form in FORMS:
        with entry.open_model(entry.card()) as file:
            sent = SentModel(entry.card(), OpenFile(file.fileno()))
            answer, made = answer_match_in_network(sent, *asked, form, float("inf"), [], 2**26)
            assert answer and [each.digest for each in made] == ["d" * 64]
            _, again = answer_match_in_network(sent, *asked, form, float("inf"), made, 2**26)
            assert again == []
