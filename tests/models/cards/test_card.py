"""A card is read as it was written, and one that is wrong is refused by its first wrong field."""

import json

import pytest
from pydantic import ValidationError

from models.cards.card import ModelCard, read_card, write_card
from scs.errors import ModelError

CARD = {
    "name": "shapes-scs",
    "version": 1,
    "description": "Tells shapes apart.",
    "format": "onnx",
    "sha256": "0123456789abcdef" * 4,
    "family": "scs",
    "parameters": 1234,
    "input": {"width": 16, "height": 16, "channels": 3, "smallest": 4},
    "labels": ["disc", "bar"],
    "layers": [
        {
            "name": name,
            "tensor": name,
            "channels": 8,
            "receptive_field": {"size": 3, "stride": 1, "offset": -1},
            "signed": True,
        }
        for name in ("stem", "class_map")
    ],
    "class_map": "class_map",
    "class_bias": [0.1, -0.2],
    "accuracy": {"dataset": "shapes", "images": 10, "correct": 8, "accuracy": 0.8, "low": 0.4902, "high": 0.9433},
    "equivariance": {
        "dataset": "shapes",
        "images": 10,
        "shift": 1,
        "as_served": {"layers": {"stem": 0.1, "class_map": 0.2}, "logits": 0.1, "class_kept": 0.9},
        "without_borders": {"layers": {"stem": 0.0, "class_map": 0.1}, "logits": 0.05, "class_kept": 1.0},
    },
    "training": {
        "recipe": {"family": "scs", "widths": [8, 12], "learning_rate": 0.01, "mirror": False},
        "seed": 1,
        "seeds": [{"seed": 1, "validation_accuracy": 0.9, "test_accuracy": 0.8}],
        "torch": "2.13.0",
        "git_commit": None,
    },
}


@pytest.mark.parametrize(
    "left_out", [(), ("accuracy", "equivariance", "training")], ids=["whole", "of a model from elsewhere"]
)
def test_a_card_is_read_as_it_was_written(left_out, tmp_path):
    card = ModelCard.model_validate({key: value for key, value in CARD.items() if key not in left_out})
    write_card(card, tmp_path / "card.json")
    assert read_card(tmp_path / "card.json") == card


def test_a_card_has_a_line_for_each_field(tmp_path):
    write_card(ModelCard.model_validate(CARD), tmp_path / "card.json")
    text = (tmp_path / "card.json").read_text()
    assert '\n  "version": 1,\n' in text
    assert text.endswith("\n}\n")


@pytest.mark.parametrize("file_format, file_name", [("onnx", "model.onnx"), ("torchscript", "model.ts")])
def test_the_format_names_the_file(file_format, file_name):
    assert ModelCard.model_validate(CARD | {"format": file_format}).file_name == file_name


def test_a_card_is_written_over_another_and_leaves_nothing_else(tmp_path):
    (tmp_path / "card.json").write_text("another")
    write_card(ModelCard.model_validate(CARD), tmp_path / "card.json")
    assert [path.name for path in tmp_path.iterdir()] == ["card.json"]


def test_a_layer_is_found_by_its_name():
    card = ModelCard.model_validate(CARD)
    assert card.layer("class_map") is card.layers[1]
    assert card.layer("block7") is None


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"sha256": "0" * 63}, "sha256: string should match pattern"),
        ({"name": "../escape"}, "name: string should match pattern"),
        ({"version": 0}, "version: input should be greater than 0"),
        ({"format": "pickle"}, "format: input should be 'onnx' or 'torchscript'"),
        ({"card_version": 9}, "card_version: input should be less than or equal to 2"),
        ({"input": CARD["input"] | {"channels": 4}}, "input.channels: input should be 1 or 3"),
        ({"layers": [{"name": "stem"}]}, "layers.0.tensor: field required"),
        (
            {"accuracy": CARD["accuracy"] | {"accuracy": 80}},
            "accuracy.accuracy: input should be less than or equal to 1",
        ),
        ({"colour": "red"}, "colour: extra inputs are not permitted"),
    ],
)
def test_a_wrong_field_is_named_in_one_line(changes, message, tmp_path):
    (tmp_path / "card.json").write_text(json.dumps(CARD | changes))
    with pytest.raises(ModelError) as raised:
        read_card(tmp_path / "card.json")
    assert str(raised.value).startswith(f"card.json is not a model's card: {message}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'"card"'])
def test_what_is_no_card_at_all_is_refused(content, tmp_path):
    (tmp_path / "card.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"\Acard\.json is not a model's card: the whole: .+\Z"):
        read_card(tmp_path / "card.json")


def test_a_missing_card_is_said_without_its_path(tmp_path):
    with pytest.raises(ModelError, match=r"\Aa model needs a card\.json beside its file; there is none\Z"):
        read_card(tmp_path / "card.json")


def test_a_card_that_was_read_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        ModelCard.model_validate(CARD).version = 2
