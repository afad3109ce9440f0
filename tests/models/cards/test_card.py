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
    "accuracy": {
        "dataset": "shapes",
        "images": 10,
        "correct": 8,
        "accuracy": 0.8,
        "low": 0.4902,
        "high": 0.9433,
        "confusion": [[5, 1], [1, 3]],
    },
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


LAYER = CARD["layers"][0]
FIELD = LAYER["receptive_field"]


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
    assert '\n    "confusion": [\n      [5, 1],\n      [1, 3]\n    ]\n' in text
    assert text.endswith("\n}\n")


def test_what_looks_like_counts_in_a_label_is_left_as_it_is(tmp_path):
    labels = ["[\n  1,\n  2\n]", "[ 1, 2 ]"]
    write_card(ModelCard.model_validate(CARD | {"labels": labels}), tmp_path / "card.json")
    assert read_card(tmp_path / "card.json").labels == labels


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
        ({"card_version": 9}, "card_version: input should be less than or equal to 3"),
        ({"input": CARD["input"] | {"channels": 4}}, "input.channels: input should be 1 or 3"),
        ({"layers": [{"name": "stem"}]}, "layers.0.tensor: field required"),
        (
            {"accuracy": CARD["accuracy"] | {"accuracy": 80}},
            "accuracy.accuracy: input should be less than or equal to 1",
        ),
        (
            {"accuracy": CARD["accuracy"] | {"confusion": [[5, 1], [4]]}},
            "accuracy: value error, confusion needs as many columns as rows, 2, in each row",
        ),
        (
            {"accuracy": CARD["accuracy"] | {"confusion": [[5, 1], [2, 3]]}},
            "accuracy: value error, confusion needs to count 10 images, 8 of them on its diagonal; it counts 11 and 8",
        ),
        (
            {"labels": ["disc", "bar", "cross"]},
            "the whole: value error, accuracy.confusion needs a row for each of 3 labels; 2 came",
        ),
        ({"colour": "red"}, "colour: extra inputs are not permitted"),
        ({"serving": {"timeout_s": 1e300}}, "serving.timeout_s: input should be less than or equal to 86400"),
        ({"serving": {"max_queue_delay_us": 10**15}}, "serving.max_queue_delay_us: input should be less than"),
        ({"serving": {"max_batch_size": 10**18}}, "serving.max_batch_size: input should be less than"),
        ({"serving": {"max_queue": 10**18}}, "serving.max_queue: input should be less than"),
        ({"input": CARD["input"] | {"width": 10**9}}, "input.width: input should be less than or equal to 65536"),
        ({"parameters": 10**30}, "parameters: input should be less than"),
        ({"version": 10**18}, "version: input should be less than"),
        ({"class_bias": [float("nan"), 0]}, "class_bias.0: input should be a finite number"),
        ({"class_bias": [float("inf"), 0]}, "class_bias.0: input should be a finite number"),
        ({"description": "long" * 10_000}, "description: string should have at most 10000 characters"),
        ({"labels": ["long" * 1000]}, "labels.0: string should have at most 1000 characters"),
        ({"layers": [LAYER | {"tensor": ""}]}, "layers.0.tensor: string should have at least 1 character"),
        (
            {"layers": [LAYER | {"receptive_field": FIELD | {"stride": 10**18}}]},
            "layers.0.receptive_field.stride: input",
        ),
        ({"layers": [LAYER | {"receptive_field": FIELD | {"offset": -(10**18)}}]}, "layers.0.receptive_field.offset: "),
    ],
)
def test_a_wrong_field_is_named_in_one_line(changes, message, tmp_path):
    (tmp_path / "card.json").write_text(json.dumps(CARD | changes))
    with pytest.raises(ModelError) as raised:
        read_card(tmp_path / "card.json")
    assert str(raised.value).startswith(f"card.json is not a model's card: {message}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a,b",
        "/layer1/a",
        "../../tmp/evil",
        "a/b",
        "a\\b",
        "C:a",
        ".hidden",
        "-x",
        "a b",
        "[/x]",
        "\x1b[2J",
        "é",
        "x" * 101,
    ]
    + ["all", "logits", "file", "allow_pickle", "stem.channels", "stem.match"],
)
def test_a_layer_has_a_name_and_no_path_and_none_that_means_something_else(name, tmp_path):
    (tmp_path / "card.json").write_text(json.dumps(CARD | {"layers": [LAYER | {"name": name}]}))
    with pytest.raises(ModelError, match=r"layers\.0\.name: a layer('s name is|\ needs a name) "):
        read_card(tmp_path / "card.json")


@pytest.mark.parametrize("name", ["stem", "layer1.0.conv2", "24x24", "_hidden", "Block-1", "All"])
def test_words_are_names_of_layers(name):
    assert ModelCard.model_validate(CARD | {"layers": [LAYER | {"name": name}]}).layers[0].name == name


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
