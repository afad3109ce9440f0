import io
import socket

import httpx2 as httpx
import numpy as np
import pytest
from PIL import Image

from scs.errors import ServerError
from service.api.activations import ActivationOptions
from service.api.files import MatchUpload, NamedBytes, Upload
from service.api.match import MatchOptions
from service.api.predict import PredictOptions
from service.app import create_app
from service.client.client import Client, _detail


@pytest.fixture(scope="module")
def url(settings, serve_app):
    with serve_app(create_app(settings)) as url:
        yield url


@pytest.fixture
def asking(url):
    return Client(url)


@pytest.fixture
def picture(jpeg):
    return NamedBytes("cat.jpg", jpeg)


def as_npy(pixels):
    buffer = io.BytesIO()
    np.save(buffer, pixels)
    return NamedBytes("cat.npy", buffer.getvalue(), is_npy=True)


def test_a_prediction_is_that_of_the_service(asking, client, picture):
    answer = asking.predict([picture], PredictOptions(top_k=2))
    expected = client.post("/predict", content=picture.content, params={"top_k": 2}).json()

    assert answer.predictions[0].name == "cat.jpg"
    assert answer.model_dump()["predictions"][0]["classes"] == expected["predictions"][0]["classes"]


def test_many_pictures_and_arrays_keep_their_order(asking, picture, photograph):
    answer = asking.predict([as_npy(photograph), picture], PredictOptions(model="shapes-conv", version=1))
    assert answer.model == "shapes-conv"
    assert [each.name for each in answer.predictions] == ["cat.npy", "cat.jpg"]


def test_options_reach_the_service(asking, picture):
    options = ActivationOptions(
        layers="stem,block2", channels="0,3", box="100,80,60,50", resize="200", peaks=2, **{"class": "disc"}
    )
    answer = asking.activations(Upload([picture]), options)

    assert [layer.name for layer in answer.layers] == ["stem", "block2"]
    assert [each.channel for each in answer.layers[0].heatmaps] == [0, 3]
    assert len(answer.layers[0].match.peaks) == 2
    assert (answer.analysed_width, answer.class_map.label) == (200, "disc")


def test_a_template_is_sent_along(asking, picture, photograph, encode):
    template = NamedBytes("part.png", encode(photograph[80:130, 100:160]))
    answer = asking.activations(Upload([picture], template), ActivationOptions(layers="stem"))
    best = answer.layers[0].match.peaks[0]
    assert [best.x, best.y] == pytest.approx([100, 80], abs=3)


def test_activations_come_as_a_picture_or_as_numbers(asking, picture):
    upload, options = Upload([picture]), ActivationOptions(layers="stem", channels="all")
    sheet = Image.open(io.BytesIO(asking.activations_as("image/png", upload, options)))
    arrays = np.load(io.BytesIO(asking.activations_as("application/x-npz", upload, options)))

    assert sheet.format == "PNG"
    assert arrays["stem"].shape == (8, 300, 451)


def test_a_match_is_that_of_the_service(asking, picture, photograph, encode):
    upload = MatchUpload(picture, [NamedBytes("part.png", encode(photograph[80:130, 100:160]))])
    answer = asking.match(upload, MatchOptions(top=1))
    assert [answer.matches[0].x, answer.matches[0].y] == pytest.approx([130, 105], abs=0.2)
    assert (answer.matches[0].name, answer.matches[0].present) == ("part.png", True)

    boxed = MatchUpload(picture, reference=picture, masks=[as_npy(np.ones((50, 60)))])
    assert asking.match(boxed, MatchOptions(box="100,80,60,50", top=1)).matches[0].score == pytest.approx(1, abs=1e-4)
    assert np.load(io.BytesIO(asking.match_as("application/x-npy", upload, MatchOptions()))).shape == (251, 392)


def test_the_models_are_listed(asking):
    assert [each.name for each in asking.models().models] == ["shapes-conv", "shapes-script", "shapes-scs"]


def test_a_slash_at_the_end_of_the_address_does_no_harm(url):
    assert Client(url + "/").models() == Client(url).models()


def test_what_the_service_refuses_is_said_in_its_own_words(asking, picture, url):
    with pytest.raises(ServerError, match=r"answered 404: no model 'cat'; there are: shapes-conv") as error:
        asking.predict([picture], PredictOptions(model="cat"))
    assert url in str(error.value)
    with pytest.raises(ServerError, match="answered 415: an image"):
        asking.predict([NamedBytes("cat.jpg", b"hello")], PredictOptions())
    with pytest.raises(ServerError, match="answered 404: no layer 'top'"):
        asking.activations_as("image/png", Upload([picture]), ActivationOptions(layers="top"))


def test_a_server_that_is_another_is_an_error_too(url):
    with pytest.raises(ServerError, match="answered 404: there is no route"):
        Client(f"{url}/elsewhere").models()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_does_not_answer_is_an_error_with_its_address(scheme, picture):
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        url = f"{scheme}://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ServerError, match=f"no answer from {url}"):
            Client(url).predict([picture], PredictOptions())


@pytest.mark.parametrize("url", ["nowhere", "ftp://127.0.0.1", "http://[::", ""])
def test_an_address_that_is_none_is_an_error(url):
    with pytest.raises(ServerError, match="no answer from"):
        Client(url).models()


def test_an_answer_that_is_no_problem_is_told_by_its_status():
    assert _detail(httpx.Response(502, text="<html>")) == "Bad Gateway"
    assert _detail(httpx.Response(502, json=["other"])) == "Bad Gateway"
