"""Answers that draw themselves: as HTML of their own, and by matplotlib where there is one."""

import io
import re
import subprocess
import sys
from base64 import b64decode
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from scs.matching.found import Match
from service.api.activations import AnalysedRegion
from service.api.files import NamedBytes
from service.api.match import MatchOptions, MatchTemplate
from service.api.ranking import ClassProbability, TemplateScore
from service.client import html
from service.client.activations import Activations, ClassMap, Layer
from service.client.files import to_file
from service.client.matches import Matches
from service.client.prediction import Prediction
from service.colours import DIVERGING, colourise, scale_for

NASTY = '<script>alert("1")</script>'


@pytest.fixture(autouse=True)
def no_window():
    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.fixture
def activations(photograph):
    maps = np.random.default_rng(0).normal(size=(2, 30, 45)).astype(np.float32)
    layer = Layer("stem", maps, (5, 2), None, (8, 30, 45), np.ones(8), True, None, maps[0] / 9)
    seen = ClassMap(NASTY, 0, abs(maps[0]), "gradcam", False, "stem", None, 0.5, 1.5, None, 2.0)
    return Activations((layer,), seen, (), "m", 1, 451, 300, AnalysedRegion(x=0, y=0, width=451, height=300))


@pytest.fixture
def matches(photograph):
    found = (Match(0, 0.9, 100, 80, 40, 30, 10, 1, evidence=2), Match(0, 0.4, 300, 200, 40, 30, 0, 1, evidence=-2))
    template = MatchTemplate(name=NASTY, width=40, height=30, masked=False, flat=0, outlined=False)
    return Matches(found, (template,), MatchOptions(), 451, 300, "cpu", scene=to_file(photograph))


def drawn(answer):
    """The page of an answer, which has to be well formed; and the pictures in it."""
    page = answer._repr_html_()
    open_tags = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag, attributes):
            assert tag not in ("script", "iframe", "object") and not any(key.startswith("on") for key, _ in attributes)
            if tag not in ("img", "br", "image"):
                open_tags.append(tag)

        def handle_endtag(self, tag):
            assert open_tags.pop() == tag

        def handle_startendtag(self, tag, attributes):
            pass

    Checker().feed(page)
    assert not open_tags and NASTY not in page
    assert not re.findall(r'(?:src|href)="(?!data:image/)', page), "nothing is fetched"
    return page, [Image.open(io.BytesIO(b64decode(text))) for text in re.findall(r"base64,([^\"]+)", page)]


def test_a_prediction_is_drawn_as_bars(jpeg):
    classes = (ClassProbability(NASTY, 0, 0.75), ClassProbability("b", 1, 0.25))
    page, (picture,) = drawn(Prediction(classes, "cat", 451, 300, "m", 1, NamedBytes("cat", jpeg)))
    assert "width: 75.0%" in page and "25.0%" in page and picture.format == "JPEG"
    page, pictures = drawn(Prediction((TemplateScore("eye", 0, -0.5),), "cat", 9, 9, "m", 1, NamedBytes("x", b"II*")))
    assert "width: 0.0%" in page and "-0.500" in page and not pictures


def test_heatmaps_are_drawn_in_the_colours_of_the_service(activations):
    page, pictures = drawn(activations)
    assert "stem: 8 × 30 × 45" in page and len(pictures) == 4
    values = activations["stem"].maps[0]
    assert np.array_equal(np.asarray(pictures[0].convert("RGB")), DIVERGING[colourise(values, scale_for(values, True))])


def test_a_large_heatmap_is_drawn_smaller():
    (encoded,) = re.findall(r"base64,([^\"]+)", html.heatmap("large", np.ones((3, 1000)), False))
    assert Image.open(io.BytesIO(b64decode(encoded))).size == (143, 1)


def test_matches_are_outlined_in_their_scene(matches, photograph):
    page, (scene,) = drawn(matches)
    assert page.count("<polygon") == 2 and page.count('stroke-dasharray="none"') == 1
    assert np.array_equal(np.asarray(scene), photograph)


def test_a_signal_and_a_scene_without_a_match_are_drawn(matches):
    signal = Matches(
        (), (), MatchOptions(), 500, 1, "cpu", scores=np.zeros(400, np.float32), scene=to_file(np.ones(500))
    )
    _, (scores,) = drawn(signal)
    assert scores.height == 1
    assert signal.plot().has_data() is False


def test_answers_are_plotted(activations, matches):
    figure = activations.plot()
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == [
        *("stem 5", "stem 2", "stem: similarity", f"{NASTY}, gradcam")
    ]
    axes = matches.plot()
    assert np.array_equal(axes.images[0].get_array()[0, 0], np.load(io.BytesIO(matches.scene.content))[0, 0])
    assert axes.lines[0].get_xydata()[:4] == pytest.approx(matches[0].corners)
    bars = Prediction((ClassProbability("a", 0, 0.75),), "cat", 9, 9, "m", 1).plot(plt.subplots()[1])
    assert bars.patches[0].get_width() == 0.75


def test_a_photograph_is_turned_upright_before_it_is_plotted(matches, photograph):
    exif = Image.Exif()
    exif[0x0112] = 8  # Orientation: to be turned counter-clockwise
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(np.rot90(photograph, -1))).save(buffer, "TIFF", exif=exif)
    scene = NamedBytes("cat.tif", buffer.getvalue())
    axes = Matches(matches.matches, matches.templates, matches.options, 451, 300, "cpu", scene=scene).plot()
    assert np.array_equal(axes.images[0].get_array(), photograph)


def test_without_matplotlib_a_plot_says_what_to_install():
    code = (
        "import sys; sys.modules['matplotlib'] = None; import service.client.plots as plots; plots.bars([], [], None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "plot needs matplotlib, which is not installed: pip install matplotlib" in done.stderr.splitlines()[-1]
