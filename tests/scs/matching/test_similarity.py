import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scs.errors import ShapeError
from scs.matching.similarity import similarity_map

numbers = st.floats(-100, 100, width=32)


def oracle(scene, template, p=2.0, q=0.0):
    """The definition, window by window, in float64."""
    scene, template = scene.astype(np.float64), template.astype(np.float64)
    _, rows, columns = template.shape
    scores = np.zeros((scene.shape[1] - rows + 1, scene.shape[2] - columns + 1))
    for i, j in np.ndindex(*scores.shape):
        window = scene[:, i : i + rows, j : j + columns]
        norms = (np.linalg.norm(window) + q) * (np.linalg.norm(template) + q)
        if window.any() and template.any():
            cosine = (window * template).sum() / norms
            scores[i, j] = np.sign(cosine) * abs(cosine) ** p
    return scores


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 7.0])
@pytest.mark.parametrize("q", [0.0, 0.1, 10.0])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3, 4), (3, 5, 2), (3, 12, 15)])
def test_the_map_is_what_the_definition_says(shape, p, q):
    scene, template = noise(shape[0], 12, 15), noise(*shape, seed=1)
    assert similarity_map(scene, template, p, q) == pytest.approx(oracle(scene, template, p, q), abs=1e-6)


def test_a_planted_template_is_found_where_it_was_put_with_score_one():
    scene, template = noise(3, 30, 40), noise(3, 5, 7, seed=1)
    scene[:, 11:16, 23:30] = 0.3 * template
    scores = similarity_map(scene, template)

    assert np.unravel_index(scores.argmax(), scores.shape) == (11, 23)
    assert scores[11, 23] == pytest.approx(1, abs=1e-6)


def test_the_inverse_of_a_template_scores_minus_one():
    scene, template = noise(3, 30, 40), noise(3, 5, 7, seed=1)
    scene[:, 11:16, 23:30] = -2 * template
    scores = similarity_map(scene, template)

    assert np.unravel_index(scores.argmin(), scores.shape) == (11, 23)
    assert scores[11, 23] == pytest.approx(-1, abs=1e-6)


@pytest.mark.parametrize("brightness", [10, 10_000])
def test_a_bright_patch_that_does_not_match_does_not_outshout_a_faint_one_that_does(brightness):
    template = noise(1, 6, 6, seed=1)
    scene = np.zeros((1, 40, 40), np.float32)
    scene[:, 4:10, 4:10] = brightness * np.abs(noise(1, 6, 6, seed=2))
    scene[:, 30:36, 25:31] = 0.5 * template
    scores = similarity_map(scene, template)

    assert np.unravel_index(scores.argmax(), scores.shape) == (30, 25)
    assert scores[30, 25] == pytest.approx(1, abs=1e-4)


def test_a_noise_floor_mutes_what_is_fainter_than_it():
    template = noise(1, 4, 4)
    faint, clear = (similarity_map(gain * template, template, q=1.0).item() for gain in (0.01, 100))
    assert faint < 0.05
    assert clear > 0.5


def test_a_blank_scene_has_no_angle_and_scores_zero():
    assert not similarity_map(np.zeros((2, 9, 9), np.float32), noise(2, 3, 3)).any()


def test_a_blank_template_scores_zero_everywhere():
    assert not similarity_map(noise(2, 9, 9), np.zeros((2, 3, 3), np.float32)).any()


def test_blank_windows_beside_a_bright_patch_score_zero_and_not_rounding():
    scene = np.zeros((1, 50, 50), np.float32)
    scene[:, :10, :10] = 1000 * noise(1, 10, 10)
    scores = similarity_map(scene, noise(1, 5, 5, seed=1))

    assert not scores[10:].any()
    assert not scores[:, 10:].any()


def test_a_larger_exponent_is_sharper_and_keeps_the_sign():
    scene, template = noise(2, 20, 20), noise(2, 4, 4, seed=1)
    cosine = similarity_map(scene, template, p=1)
    for p in (2, 5):
        assert similarity_map(scene, template, p=p) == pytest.approx(np.sign(cosine) * abs(cosine) ** p, abs=1e-6)


@given(
    arrays(np.float32, (2, 6, 7), elements=numbers),
    arrays(np.float32, (2, 3, 2), elements=numbers),
    st.floats(0.1, 8),
    st.floats(0, 10),
)
def test_scores_are_finite_and_within_minus_one_and_one(scene, template, p, q):
    scores = similarity_map(scene, template, p, q)

    assert scores.dtype == np.float32
    assert scores.shape == (4, 6)
    assert (np.abs(scores) <= 1).all()  # false of NaN


@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 3))
def test_the_map_has_a_place_for_every_window(rows, columns, channels):
    assert similarity_map(noise(channels, 5, 6), noise(channels, rows, columns)).shape == (6 - rows, 7 - columns)


@given(st.floats(0.001, 1000), st.floats(0.001, 1000))
def test_brightness_does_not_matter_without_a_noise_floor(scene_gain, template_gain):
    scene, template = noise(2, 12, 12), noise(2, 3, 3, seed=1)
    scaled = similarity_map(np.float32(scene_gain) * scene, np.float32(template_gain) * template)
    assert scaled == pytest.approx(similarity_map(scene, template), abs=1e-6)


def test_what_is_moved_in_the_scene_is_moved_in_the_map():
    scene, template = noise(2, 20, 20), noise(2, 4, 4, seed=1)
    moved = similarity_map(scene[:, 3:, 5:], template)
    assert moved == pytest.approx(similarity_map(scene, template)[3:, 5:], abs=1e-6)


def test_a_template_larger_than_its_scene_is_refused_with_both_shapes():
    with pytest.raises(ShapeError, match=r"fit inside its scene; the template is \(1, 3, 9\), the scene \(1, 8, 8\)"):
        similarity_map(noise(1, 8, 8), noise(1, 3, 9))


@pytest.mark.parametrize("shape", [(2, 3, 3), (3, 3), (1, 1, 3, 3)])
def test_a_template_of_other_channels_or_dimensions_is_refused_with_both_shapes(shape):
    with pytest.raises(ShapeError, match=r"\(C, height, width\); \(1, 8, 8\) and \(.*3, 3\) came"):
        similarity_map(noise(1, 8, 8), noise(*shape))
