"""Convolution answers with what is bright, SCS with what is alike."""

import json
from pathlib import Path

import numpy as np
import pytest

from lab.topics.signal import FACTORS, METHODS, NOISE, PLACE, RECORD, Peak, Q, kernel, respond, scene

PAGE = (Path(__file__).parents[3] / "docs" / "lab" / "signal.md").read_text()


def shown(factor: float, place: int = PLACE) -> np.ndarray:
    return scene(factor, place, np.random.default_rng(3))


@pytest.fixture(scope="module")
def figures(quick):
    return quick("signal")[0]


@pytest.mark.parametrize("factor", [sign * size for sign in (1, -1) for size in FACTORS if size >= 0.2])
def test_the_similarity_peaks_on_the_match_whatever_its_size_and_sign(factor):
    for name in ("cosine, q = 0", f"SCS, q = {Q}"):
        response = respond(shown(factor), *METHODS[name])
        assert Peak.of(response, PLACE).place == PLACE
        assert np.sign(response[PLACE]) == np.sign(factor)


@pytest.mark.parametrize("factor", [0.2, -0.2, 0.5, -0.5])
def test_convolution_peaks_on_something_bright_instead(factor):
    peak = Peak.of(respond(shown(factor), *METHODS["convolution"]), PLACE)
    assert abs(peak.place - PLACE) >= kernel().size and peak.lead < 1


def test_a_noise_floor_finds_what_is_short_and_inexact_in_a_long_silence_and_without_one_noise_wins(figures):
    short, long = figures["silence"]["8"], figures["silence"]["48"]
    assert short["found"][f"SCS, q = {Q}"] >= 0.9 and short["highest"] > 0.9
    assert max(short["found"][name] for name in ("cosine, q = 0", "Pearson's r")) <= 0.3
    assert min(share for share in long["found"].values()) == 1 and long["highest"] < 0.8


def test_p_raises_a_lead_to_its_power():
    leads = [Peak.of(respond(shown(0.2), "scs", p, Q), PLACE).lead for p in (1, 2, 4)]
    assert leads[1:] == pytest.approx([leads[0] ** 2, leads[0] ** 4], rel=1e-3)


def test_a_very_large_q_leaves_convolution_to_the_power_of_p():
    response = respond(shown(0.2), "scs", 2, 1e6)
    convolved = respond(shown(0.2), "ccorr", 2, 0).astype(np.float64)
    squared = np.sign(convolved) * convolved**2
    assert response / response.max() == pytest.approx(squared / squared.max(), abs=1e-3)


def test_what_the_page_says_in_words_is_so():
    full = json.loads((Path(__file__).parents[3] / "docs/lab/pictures/signal/figures.json").read_text())
    assert f"Each row below is {full['trials']} signals of {shown(0.2).size} samples" in PAGE
    assert f"each row is {full['records']} records of {RECORD:,} samples" in PAGE.replace("\n", " ")
    assert f"noise of {NOISE}" in PAGE and f"{NOISE * np.sqrt(kernel().size):.2f})" in PAGE
    assert "up to thirty times as high" in PAGE
    assert np.abs(shown(0.2)).max() / (0.2 * kernel()).max() == pytest.approx(30, abs=2)
