"""Pictures that are named by their digest, and matching in the features of a network, over HTTP."""

import hashlib
import io

import numpy as np
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from service.app import create_app

KEY = "a-key-of-sixteen"


@pytest.fixture(scope="module")
def png(photograph, encode):
    return encode(photograph)


def digest_of(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def activations(client, content=b"", accept="application/x-npz", **options):
    return client.post("/activations", content=content, params=options, headers={"accept": accept})


def match(client, content=None, *, templates=(), **options):
    files = [("scene", ("scene.png", content))] if content else []
    files += [("template", ("part.png", each)) for each in templates]
    return client.post("/match", files=files or None, params={"method": "features", **options})


def test_a_known_picture_is_asked_about_by_its_digest_and_answered_alike(client, png):
    options = {"layers": "stem,block1", "box": "120,100,80,60"}
    sent = activations(client, png, **options)
    known = activations(client, picture=digest_of(png), **options)
    assert known.status_code == 200, known.text
    arrays = [dict(np.load(io.BytesIO(answer.content))) for answer in (sent, known)]
    assert arrays[0].keys() == arrays[1].keys()
    for name, values in arrays[0].items():
        np.testing.assert_array_equal(values, arrays[1][name])


def test_the_network_is_not_run_again_unless_it_was_reloaded(settings, in_threads, png, monkeypatch):
    guarded = settings.model_copy(update={"api_key": SecretStr(KEY)})
    headers = {"x-api-key": KEY}  # to change models, a key is needed
    with TestClient(create_app(guarded), raise_server_exceptions=False, headers=headers) as client:
        services = client.app.state.services
        activations(client, png, layers="all")
        model = services.models.get()
        monkeypatch.setattr(type(model.runtime), "layers", lambda *_: pytest.fail("the network was run"))
        for _ in range(2):
            assert activations(client, picture=digest_of(png), layers="block1").status_code == 200
        monkeypatch.undo()
        held = services.pictures.nbytes
        del model
        assert client.post("/v2/repository/models/shapes-scs/unload").status_code == 200
        assert client.post("/v2/repository/models/shapes-scs/load").status_code == 200
        again = activations(client, picture=digest_of(png), layers="stem")
        assert again.status_code == 200, "the picture is known still"
        assert services.pictures.nbytes < held, "and what the model saw of it is not"


@pytest.mark.parametrize("route", ["/activations", "/match"])
def test_a_digest_that_is_not_known_is_a_404_that_says_what_to_do(client, route):
    answer = client.post(route, params={"picture": "sha256:" + 64 * "a", "box": "1,1,9,9"})
    assert answer.status_code == 404
    assert answer.json()["detail"].endswith("send its bytes")
    assert client.post(route, params={"picture": "md5:1234", "box": "1,1,9,9"}).status_code == 422


def test_a_picture_beside_the_one_that_is_named_is_refused(client, png):
    activations(client, png, layers="stem")
    assert activations(client, png, picture=digest_of(png)).status_code == 400
    assert match(client, png, picture=digest_of(png), box="1,1,9,9").status_code == 400


@pytest.mark.parametrize("method", ["features", "parts"])
def test_a_box_is_found_in_features_where_it_is(client, png, method):
    answer = match(client, png, method=method, model="shapes-scs", box="120,100,80,60")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    best = found["matches"][0]
    assert (best["x"], best["y"]) == pytest.approx((160, 130), abs=1)
    assert best["present"]
    assert (found["model"], found["version"], len(found["layers"])) == ("shapes-scs", 1, 1)
    assert found["width"], found["height"] == (451, 300)


def test_a_template_of_its_own_layers_that_vote_and_a_map(client, png, photograph, encode):
    part = encode(photograph[100:160, 120:200])
    options = {"layer": "stem,block1", "picture": digest_of(png)}
    assert activations(client, png, layers="stem").status_code == 200
    found = match(client, templates=[part], **options).json()
    assert found["layers"] == ["stem", "block1"]
    best = found["matches"][0]
    assert (best["x"], best["y"]) == pytest.approx((160, 130), abs=4)
    body = [("template", ("part.png", part))]
    npz = client.post(
        "/match", files=body, params={"method": "features", **options}, headers={"accept": "application/x-npz"}
    )
    assert np.load(io.BytesIO(npz.content))["scores"].shape == (300 - 60 + 1, 451 - 80 + 1)


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        ({"model": "nobody"}, 404, "nobody"),
        ({"layer": "attic"}, 404, "attic"),
        ({"angles": "auto"}, 422, "does not turn or scale"),
        ({"method": "ccoeff_normed", "model": "shapes-scs"}, 422, "for the methods features and parts"),
        ({"box": "400,100,80,60"}, 422, "box"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(client, png, options, status, said):
    answer = match(client, png, **{"box": "120,100,80,60", **options})
    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]
