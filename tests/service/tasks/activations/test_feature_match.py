import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from models.cards.card import LayerCard, ReceptiveFieldCard
from scs.errors import ShapeError
from service.pictures.picture import Region
from service.tasks.activations.feature_match import match, template_from_box, template_from_picture

FIELDS = [
    ReceptiveFieldCard(size=3, stride=1, offset=-1),
    ReceptiveFieldCard(size=8, stride=2, offset=-3),
    ReceptiveFieldCard(size=18, stride=4, offset=-7),
    ReceptiveFieldCard(size=38, stride=8, offset=-15),
]
fields = st.sampled_from(FIELDS)
lengths = st.integers(8, 90)


def layer(field):
    return LayerCard(name="any", tensor="any", channels=3, receptive_field=field, signed=True)


def maps_for(field, height, width, seed=0):
    """Maps of noise, of the size that a network with "same" padding and pooling gives."""
    size = (3, height // field.stride, width // field.stride)
    return np.random.default_rng(seed).standard_normal(size).astype(np.float32)


def whole(size):
    return Region(0, 0, *reversed(size))


@st.composite
def scenes(draw):
    """A receptive field, the size of a picture, and a box in it."""
    field, height, width = draw(fields), draw(lengths), draw(lengths)
    x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return field, (height, width), Region(x, y, draw(st.integers(1, width - x)), draw(st.integers(1, height - y)))


def test_a_scaled_box_covers_the_same_share_of_a_scaled_picture():
    assert Region(10, 20, 30, 40).scaled(0.5, 2) == Region(5, 40, 15, 80)


@given(scenes())
def test_a_box_is_cut_out_as_the_units_whose_fields_are_centred_in_it(scene):
    field, (height, width), box = scene
    maps = maps_for(field, height, width)
    template = template_from_box(maps, field, box)

    def centred(start, length, units):
        centres = field.offset + (field.size - 1) / 2 + field.stride * np.arange(units)
        return np.flatnonzero((centres >= start) & (centres < start + length)).tolist()

    rows, columns = centred(box.y, box.height, maps.shape[1]), centred(box.x, box.width, maps.shape[2])
    down, across = template.features.shape[1:]
    came = (
        list(range(template.first[0], template.first[0] + down)),
        list(range(template.first[1], template.first[1] + across)),
    )
    assert came[0] == rows or (not rows and len(came[0]) == 1)  # none is centred in it: the nearest one
    assert came[1] == columns or (not columns and len(came[1]) == 1)
    assert np.array_equal(template.features, maps[:, came[0][0] : came[0][-1] + 1, came[1][0] : came[1][-1] + 1])


@given(fields, lengths, lengths)
def test_of_a_templates_picture_the_units_are_taken_that_saw_none_of_its_padding(field, height, width):
    maps = maps_for(field, height, width)
    template = template_from_picture(maps, field, width, height)

    def inner(length, units):
        first = field.offset + field.stride * np.arange(units)
        return np.flatnonzero((first >= 0) & (first + field.size <= length)).tolist()

    for axis, (length, units) in enumerate([(height, maps.shape[1]), (width, maps.shape[2])]):
        came = list(range(template.first[axis], template.first[axis] + template.features.shape[axis + 1]))
        assert came == (inner(length, units) or list(range(units)))


@given(scenes(), st.integers(1, 8))
def test_a_box_is_found_at_itself_and_all_places_lie_within_the_picture(scene, top):
    field, size, box = scene
    maps = maps_for(field, *size)
    assume(maps[0].size > 1)  # a single unit is its own mean: nothing is left to compare
    found = match(maps, layer(field), template_from_box(maps, field, box), whole(size), top)

    best, score = found.peaks[0]
    assert best == box
    assert score == pytest.approx(1, abs=1e-5)
    assert len(found.peaks) <= top
    for place, _ in found.peaks:
        assert (place.width, place.height) == (box.width, box.height)
        assert 0 <= place.x <= size[1] - box.width
        assert 0 <= place.y <= size[0] - box.height


@given(scenes(), st.floats(0.05, 3), st.floats(0.05, 3))
def test_a_box_of_a_scaled_picture_is_found_at_itself_however_it_is_rounded(scene, across, down):
    field, (height, width), box = scene
    scaled = max(field.stride, round(height * down)), max(field.stride, round(width * across))
    box = box.scaled(scaled[1] / width, scaled[0] / height)
    maps = maps_for(field, *scaled)
    assume(maps[0].size > 1)
    best, _ = match(maps, layer(field), template_from_box(maps, field, box), whole(scaled), 1).peaks[0]
    assert [best.x, best.y] == pytest.approx([box.x, box.y], abs=1e-6)


@given(fields, st.integers(0, 8), st.integers(0, 8), lengths, lengths)
def test_a_template_on_the_grid_of_a_layer_is_found_where_it_was_cut(field, right, down, height, width):
    x, y = right * field.stride, down * field.stride
    size = y + height + 20, x + width + 20
    maps = maps_for(field, *size)
    own = maps[:, down : down + height // field.stride, right : right + width // field.stride]
    best, score = match(maps, layer(field), template_from_picture(own, field, width, height), whole(size), 1).peaks[0]

    assert best == Region(x, y, width, height)
    assert score == pytest.approx(1, abs=1e-5)


def test_what_all_places_have_in_common_does_not_make_them_alike():
    field = FIELDS[1]
    maps = maps_for(field, 60, 60)
    box = Region(10, 20, 16, 16)
    plain, shifted = (
        match(m, layer(field), template_from_box(m, field, box), whole((60, 60)), 3) for m in (maps, maps + 100)
    )
    np.testing.assert_allclose(shifted.scores, plain.scores, atol=1e-4)


def test_a_picture_of_a_single_unit_has_no_place_to_tell_from_another():
    field = FIELDS[3]
    maps = maps_for(field, 8, 8)
    found = match(maps, layer(field), template_from_box(maps, field, Region(0, 0, 8, 8)), whole((8, 8)), 1)
    assert found.peaks == [] and (found.scores == 0).all()


def test_a_template_with_more_units_than_the_picture_is_refused():
    field = FIELDS[0]
    template = template_from_picture(maps_for(field, 40, 40), field, 40, 40)
    with pytest.raises(ShapeError, match="fit inside"):
        match(maps_for(field, 20, 60), layer(field), template, whole((20, 60)), 1)


def test_no_place_is_named_in_the_padding_around_a_picture():
    field = FIELDS[1]
    maps = maps_for(field, 60, 60)
    template = template_from_box(maps, field, Region(20, 24, 16, 16))
    found = match(maps, layer(field), template, Region(12, 14, 40, 30), 50)
    places = [place for place, _ in found.peaks]
    assert min(place.x for place in places) >= 12 and max(place.x + place.width for place in places) <= 52
    assert min(place.y for place in places) >= 14 and max(place.y + place.height for place in places) <= 44
    assert places[0] == Region(20, 24, 16, 16)
