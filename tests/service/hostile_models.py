"""Models that a careless or hostile hand has made: each is a file and a card that belong together."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx

from models.cards.card import ModelCard

_HEAD = '<ir_version: 8, opset_import: ["": 18]> g (uint8[N,H,W,1] image) => (float[N,2] logits)'
_MEAN = """
    f = Cast <to = 1> (image)
    axes = Constant <value = int64[2] {1, 2}> ()
    mean = ReduceMean <keepdims = 0> (f, axes)
    means = Concat <axis = 1> (mean, mean)
"""
_LOOP = """
    most = Constant <value = int64 {9223372036854775807}> ()
    zero = Constant <value = float {0.0}> ()
    total = ReduceSum <keepdims = 0> (f)
    %s
    left = Loop (most, goes_on, total) <body = body (int64 i, bool given, float a) => (bool kept, float b)
        { kept = Identity (given) b = Identity (a) }>
    nothing = Mul (left, zero)
"""

PLAIN = "logits = Identity (means)"
LOOPS_ALWAYS = _LOOP % "goes_on = GreaterOrEqual (zero, zero)" + "logits = Add (means, nothing)"
LOOPS_ON_LIGHT = _LOOP % "goes_on = Greater (total, zero)" + "logits = Add (means, nothing)"
ALLOCATES = """
    shape = Constant <value = int64[2] {100000, 2000000}> ()
    much = ConstantOfShape (shape)
    sum = ReduceSum <keepdims = 0> (much)
    logits = Add (means, sum)
"""
ALLOCATES_ON_LIGHT = """
    total = ReduceSum <keepdims = 0> (f)
    count = Cast <to = 7> (total)
    million = Constant <value = int64 {10000000}> ()
    length = Mul (count, million)
    one = Constant <value = int64[1] {1}> ()
    shape = Reshape (length, one)
    much = ConstantOfShape (shape)
    sum = ReduceSum <keepdims = 0> (much)
    logits = Add (means, sum)
"""


# NaN where a picture's mean is 9, which that of no blank, white or noisy one is.
NAN_AT_9 = """
    nine = Constant <value = float {9.0}> ()
    off = Sub (means, nine)
    one = Div (off, off)
    logits = Mul (means, one)
"""


def put(repository: Path, name: str, body: str, taken: str = "N,H,W", **changes: object) -> None:
    """Write version 1 of a model of one channel and two classes; ``taken`` are the first dimensions of its input."""
    head = _HEAD.replace("N,H,W", taken)
    put_model(repository, name, onnx.parser.parse_model(f"{head} {{ {_MEAN} {body} }}"), **changes)


def nested_functions(depth: int) -> onnx.ModelProto:
    """A model of functions, each of which calls the next ten times."""
    head = _HEAD.replace('"": 18', '"": 18, "f": 1')
    model = onnx.parser.parse_model(f"{head} {{ {_MEAN} logits = f.f0 (means) }}")
    for level in range(depth):
        calls = [onnx.helper.make_node(f"f{level + 1}", [f"x{i}"], [f"x{i + 1}"], domain="f") for i in range(10)]
        model.functions.append(
            onnx.helper.make_function("f", f"f{level}", ["x0"], ["x10"], calls, [onnx.helper.make_opsetid("f", 1)])
        )
    last = [onnx.helper.make_node("Neg", ["x"], ["y"])]
    model.functions.append(
        onnx.helper.make_function("f", f"f{depth}", ["x"], ["y"], last, [onnx.helper.make_opsetid("", 18)])
    )
    return model


def put_model(repository: Path, name: str, model: onnx.ModelProto, **changes: object) -> None:
    """Write version 1 of a model."""
    content = model.SerializeToString()
    card = {
        "name": name,
        "version": 1,
        "description": "made for a test",
        "format": "onnx",
        "family": "none",
        "parameters": 1,
        "sha256": hashlib.sha256(content).hexdigest(),
        "labels": ["dark", "light"],
        "input": {"height": 8, "width": 8, "channels": 1, "smallest": 1},
        "layers": [],
        **changes,
    }
    folder = repository / name / "1"
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(content)
    (folder / "card.json").write_text(ModelCard.model_validate(card).model_dump_json())
