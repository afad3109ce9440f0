import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.imports import apart
from models.imports.importing import import_network
from models.imports.original import Original, read_original
from models.imports.wish import Wish
from scs.errors import ModelError, OptionError

LABELS = list("abcde")
NAMED = Wish(labels=LABELS, preprocess="0-1")


def network(
    after: list[onnx.NodeProto] = [],  # noqa: B006
    output: onnx.ValueInfoProto | None = None,
    before: list[onnx.NodeProto] = [],  # noqa: B006
    opset: int = 13,
    shape: tuple | None = ("N", 3, 32, 32),
    kind: int = TensorProto.FLOAT,
    **constants: np.ndarray,
) -> onnx.ModelProto:
    """Convolution, mean and five logits, with nodes before (from ``x`` to ``taken``) and after (from ``logits``)."""
    random = np.random.default_rng(0)
    weights = {"w": random.normal(size=(8, 3, 3, 3)), "v": random.normal(size=(8, 5)), "b": random.normal(size=5)}
    nodes = [
        *(before or [helper.make_node("Identity", ["x"], ["taken"])]),
        helper.make_node("Conv", ["taken", "w"], ["maps"], pads=[1] * 4, strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["maps"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Gemm", ["flat", "v", "b"], ["logits"]),
        *after,
    ]
    tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    tensors += [numpy_helper.from_array(value, name) for name, value in constants.items()]
    output = output or helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("N", 5))
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", kind, shape)], [output], tensors)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def imported(model: onnx.ModelProto, wish: Wish = NAMED):
    return import_network(Original("net", model, "0" * 64), wish, "net", 1)


TEXT = helper.make_tensor_value_info("end", TensorProto.STRING, ("N", 5))
END = helper.make_tensor_value_info("end", TensorProto.FLOAT, ("N", 5))
SEQUENCE = helper.make_tensor_sequence_value_info("end", TensorProto.FLOAT, None)
ZIPPED = helper.make_node("ZipMap", ["p"], ["end"], domain="ai.onnx.ml", classlabels_int64s=[*range(5)])


@pytest.mark.parametrize("opset", [7, 8, 13])
@pytest.mark.parametrize("labels", [LABELS, None])
def test_operator_sets_of_before_uint8_was_common_are_imported_with_and_without_classes(opset, labels):
    found = imported(network(opset=opset), Wish(labels=labels, preprocess="0-1"))
    assert found.report.difference < 1e-5


@pytest.mark.parametrize(
    ("after", "output"),
    [
        ([helper.make_node("Softmax", ["logits"], ["p"], axis=1), ZIPPED], onnx.ValueInfoProto(name="end")),
        ([helper.make_node("Cast", ["logits"], ["end"], to=TensorProto.STRING)], TEXT),
    ],
    ids=["a map of probabilities, as skl2onnx writes it", "text"],
)
def test_logits_are_found_behind_what_is_no_tensor_of_numbers(after, output):
    if not output.type.ByteSize():
        kind = output.type.sequence_type.elem_type.map_type
        kind.key_type, kind.value_type.tensor_type.elem_type = TensorProto.INT64, TensorProto.FLOAT
    found = imported(network(after, output))
    assert found.report.class_map == "exact"
    assert imported(network(after, output), Wish(preprocess="0-1")).card.labels == []


def test_a_network_whose_only_output_is_a_sequence_is_served_for_its_layers():
    after = [helper.make_node("SequenceConstruct", ["logits"], ["end"])]
    assert imported(network(after, SEQUENCE), Wish(preprocess="0-1")).card.layers
    with pytest.raises(OptionError, match="--output logits names a tensor inside"):
        imported(network(after, SEQUENCE))


def test_an_input_without_a_shape_is_tried_at_the_size_that_was_said():
    found = imported(network(shape=None), Wish(labels=LABELS, preprocess="0-1", size=(32, 32)))
    assert found.card.input.width == 32


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"after": [helper.make_node("RandomNormalLike", ["logits"], ["end"])], "output": END}, "draws at random"),
        (
            {
                "after": [helper.make_node("Dropout", ["logits", "half", "yes"], ["end"])], "output": END,
                "half": np.float32(0.5), "yes": np.array(True),
            },
            r"Dropout .* in training: export it after net.eval\(\)",
        ),
        ({"after": [helper.make_node("Mul", ["logits", "nan"], ["end"])], "output": END, "nan": np.float32(np.nan)},
         "finite numbers"),
        ({"shape": (1, 3, 200000, 200000)}, "at most 67,108,864 numbers"),
        ({"shape": (10**9, 3, 32, 32)}, "at most 67,108,864 numbers"),
        ({"kind": TensorProto.INT64}, "takes INT64: export the network in float32"),
        ({"kind": TensorProto.BFLOAT16}, "takes BFLOAT16"),
        ({"shape": ("N", 4, 32, 32)}, r"takes \?x4x32x32"),
        ({"after": [helper.make_node("Magic", ["logits"], ["end"], domain="ai.onnx.ml")], "output": END},
         "Magic.*; export it with the operators of ONNX alone"),
    ],
    ids=["random", "dropout", "nan", "huge picture", "huge batch", "int64", "bfloat16", "four channels", "unknown op"],
)  # fmt: skip
def test_what_cannot_be_imported_is_refused_in_a_sentence(changes, match):
    with pytest.raises(ModelError, match=match):
        imported(network(**changes))


def test_batch_normalisation_in_training_is_refused_in_either_of_its_forms():
    ones = {name: np.ones(3, np.float32) for name in ("s", "o", "m", "d")}
    for opset, outputs, options in ((9, ["taken", "m1", "d1", "m2", "d2"], {}), (15, ["taken", "m1", "d1"], {1: 1})):
        options = {"training_mode": 1} if options else {}
        node = helper.make_node("BatchNormalization", ["x", "s", "o", "m", "d"], outputs, **options)
        with pytest.raises(ModelError, match="BatchNormalization of this one is in training"):
            imported(network(before=[node], opset=opset, **ones))


def test_a_loop_without_an_end_is_given_up(monkeypatch):
    monkeypatch.setattr(apart, "_LONGEST_RUN_S", 1)
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["goes"]), helper.make_node("Identity", ["value"], ["next"])],
        "body",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("goes", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
        ],
    )
    loop = helper.make_node("Loop", ["count", "yes", "x"], ["taken"], body=body)
    with pytest.raises(ModelError, match="may have no end"):
        imported(network(before=[loop], count=np.array(2**62), yes=np.array(True)))


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
        (b"<!DOCTYPE html>", "page of HTML"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "Keras file"),
        (b"\x1c\0\0\0TFL3" + bytes(99), "TensorFlow Lite"),
        (b"\xff\xd8\xff\xe0" + bytes(99), "picture"),
        (bytes(99), "cut off or damaged"),
    ],
)
def test_a_file_of_another_kind_is_called_by_its_kind(tmp_path: Path, content, match):
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=match):
        read_original(tmp_path / "net.onnx")


def test_a_file_cut_off_and_an_archive_are_refused(tmp_path: Path):
    whole = network().SerializeToString()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    with zipfile.ZipFile(tmp_path / "net.zip", "w") as archive:
        archive.writestr("net.onnx", whole)
    with pytest.raises(ModelError, match="cut off or damaged"):
        read_original(tmp_path / "cut.onnx")
    with pytest.raises(ModelError, match="zip archive: unpack it"):
        read_original(tmp_path / "net.zip")
