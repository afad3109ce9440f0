import numpy as np
import pytest

from scs.errors import OptionError, ShapeError
from scs.matching.deformable.features import FeatureMaps, FeatureTemplate, features_map, refined_place
from scs.matching.deformable.in_features import find_in_features
from scs.matching.finding import Search, find

STRIDE, CENTRE = 8.0, 3.5  # of a layer whose units look at 8 pixels each, the first centred there
HEIGHT, WIDTH = 160, 240


def field(seed=0, channels=6):
    """Smooth features as functions of the place, so that they can be read off between the units."""
    random = np.random.default_rng(seed)
    waves = random.normal(size=(channels, 8, 2)) / 14
    phases = random.uniform(0, 6, (channels, 8))

    def at(y, x):
        places = np.stack(np.broadcast_arrays(y, x), -1)
        return np.sin(np.einsum("...d,cwd->c...w", places, waves) + phases[:, *[None] * np.ndim(y + x)]).sum(-1)

    return at


def layer(at, stride=STRIDE, shift=(0.0, 0.0), size=(HEIGHT, WIDTH)):
    """A layer of a picture whose content lies ``shift`` pixels further down and right."""
    down, across = (np.arange(CENTRE, length, stride) for length in size)
    values = at(down[:, None] - shift[0], across[None] - shift[1]).astype(np.float32)
    return FeatureMaps(values, (CENTRE, CENTRE), (stride, stride))


def found(seen, template, method="features", **options):
    return find_in_features((HEIGHT, WIDTH), seen, template, Search(method, **options)).matches


@pytest.fixture(scope="module")
def at():
    return field()


@pytest.fixture(scope="module")
def template(at):
    return FeatureTemplate([layer(at)], (HEIGHT, WIDTH), (60, 40, 64, 48))


def test_a_box_is_found_where_it_is_and_at_fractions_of_the_stride_where_it_has_moved(at, template):
    for shift in ((0.0, 0.0), (5.0, -3.0), (20.6, 33.3)):
        match = found([layer(at, shift=shift)], template, top=1)[0]
        assert (match.x, match.y) == pytest.approx((92 + shift[1], 64 + shift[0]), abs=STRIDE / 10)
        assert (match.width, match.height, match.present) == (64, 48, True)


def test_scene_and_reference_may_be_seen_at_different_strides(at, template):
    match = found([layer(at, stride=5.0, shift=(8.0, 8.0))], template, top=1)[0]
    assert (match.x, match.y) == pytest.approx((100, 72), abs=1.5)


def test_scores_are_within_0_and_1_for_every_window_and_another_scene_has_less_evidence(at, template):
    scores = features_map([layer(at)], (HEIGHT, WIDTH), template)
    assert scores.shape == (HEIGHT - 48 + 1, WIDTH - 64 + 1)
    assert 0 <= scores.min() < scores.max() <= 1
    own, other = (found([layer(content)], template, top=1)[0] for content in (at, field(seed=1)))
    assert own.present and other.evidence < own.evidence - 3


def test_layers_vote(at, template):
    """Where one layer is deceived, the other decides."""
    other = field(seed=2)
    both = FeatureTemplate([template.layers[0], layer(other)], template.size, template.box)
    seen = [layer(at, shift=(0, 40.0)), layer(other)]
    alone = features_map(seen[:1], (HEIGHT, WIDTH), template)
    second = features_map(seen[1:], (HEIGHT, WIDTH), FeatureTemplate(both.layers[1:], both.size, both.box))
    np.testing.assert_allclose(features_map(seen, (HEIGHT, WIDTH), both), (alone + second) / 2, atol=1e-6)


def test_a_region_and_what_the_network_saw_bound_the_places(at, template):
    seen = [layer(at)]
    assert found(seen, template, top=1, region=(50, 30, 100, 80))[0].x == pytest.approx(92, abs=0.5)
    assert all(match.x > 150 for match in found(seen, template, region=(120, 0, 120, 160)))
    cut = find_in_features((HEIGHT, WIDTH), seen, template, Search("features"), within=(100, 0, 140, 160))
    assert cut.matches and all(match.x - 32 >= 90 for match in cut.matches)


def test_parts_of_pixels_count_beside_features(at, template):
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    pair = pixels, pixels[40:88, 60:124]
    match = find_in_features((HEIGHT, WIDTH), [layer(at)], template, Search("parts"), pixels=pair).matches[0]
    assert (match.x, match.y) == pytest.approx((92, 64), abs=1)
    with pytest.raises(OptionError, match="needs pixels beside features"):
        found([layer(at)], template, "parts")


def test_features_that_are_the_same_everywhere_match_nowhere(template):
    blank = FeatureMaps(np.ones((6, 20, 30), np.float32), (CENTRE, CENTRE), (STRIDE, STRIDE))
    assert found([blank], template) == []


def test_many_channels_are_compared_by_those_that_vary(at, template):
    seen = template.layers[0]
    padded = FeatureMaps(
        np.concatenate([np.zeros((400, *seen.values.shape[1:])), seen.values]), seen.first, seen.stride
    )
    match = found([padded], FeatureTemplate([padded], template.size, template.box), top=1)[0]
    assert (match.x, match.y) == pytest.approx((92, 64), abs=0.5)


def test_a_refined_place_stays_in_the_scene(at):
    corner = FeatureTemplate([layer(at)], (HEIGHT, WIDTH), (0, 0, 64, 48))
    row, column = refined_place([layer(at)], (HEIGHT, WIDTH), corner, 1.0, 1.0)
    assert row >= 0 and column >= 0 and (row, column) == pytest.approx((0, 0), abs=0.5)


def test_what_does_not_fit_is_refused(at, template):
    with pytest.raises(ShapeError, match="template is 64x48 but scene is 50x160"):
        features_map([layer(at)], (160, 50), template)
    with pytest.raises(ShapeError, match=r"channels are \[5\] and \[6\]"):
        features_map([layer(field(channels=5))], (HEIGHT, WIDTH), template)
    with pytest.raises(OptionError, match="one or more layers"):
        FeatureTemplate([], (10, 10), (0, 0, 5, 5))
    with pytest.raises(OptionError, match="'scs' came"):
        found([layer(at)], template, "scs")
    with pytest.raises(OptionError, match="needs the feature maps of a network"):
        find(np.zeros((9, 9)), [np.zeros((3, 3))], Search("features"))
    with pytest.raises(OptionError, match="does not turn or scale"):
        Search("features", angles="auto")
    with pytest.raises(OptionError, match="the region is 20x20"):
        found([layer(at)], template, region=(0, 0, 20, 20))
