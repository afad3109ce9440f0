"""What bounds a model's work is the size of its input, unless values decide."""

import onnx
import pytest

from models.cards.catalogue import bundled_repository, entries
from models.onnx.bounds import is_bounded

_HEAD = '<ir_version: 8, opset_import: ["": 18, "local": 1, "other": 1]> g (float[N,C,H,W] x) => (float[M] y)'
_LOCAL = '<domain: "local", opset_import: ["": 18]>'
_FUNCTIONS = {
    "y = local.f (x)": f"{_LOCAL} f (a) => (b) {{ s = Shape (a) b = ConstantOfShape (s) }}",
    "y = local.g (x)": f"{_LOCAL} g (a) => (b) {{ b = NonZero (a) }}",
}


@pytest.mark.parametrize("entry", [*entries(bundled_repository())], ids=lambda entry: f"{entry.name}-{entry.version}")
def test_the_bundled_models_are_bounded(entry):
    assert is_bounded(onnx.load_from_string(entry.verified_bytes()))


@pytest.mark.parametrize(
    ("body", "bounded"),
    [
        ("y = Relu (x)", True),
        ("s = Shape (x) y = ConstantOfShape (s)", True),
        ("n = Size (x) m = Mul (n, n) y = Range (m, m, m)", True),
        ("s = Constant <value = int64[1] {5}> () y = ConstantOfShape (s)", True),
        ("s = Shape (x) t = Constant <value = int64[4] {1, 1, 2, 2}> () r = Mul (s, t) e = Identity (x) "
         "y = Resize (x, , , r)", True),
        ("y = NonZero (x)", False),
        ("i = Cast <to = 7> (x) y = ConstantOfShape (i)", False),
        ("i = Cast <to = 7> (x) s = Shape (x) j = Add (i, s) y = Expand (x, j)", False),
        ("i = Cast <to = 7> (x) y = Tile (x, i)", False),
        ("m = ReduceMax (x) y = Range (m, m, m)", False),
        ("u = Unique (x) y = Identity (u)", False),
        ("c = Cast <to = 9> (x) y = If (c) <then_branch = t () => (float[M] a) { a = Identity (x) }, "
         "else_branch = e () => (float[M] b) { b = Identity (x) }>", False),
        ("y = other.Unknown (x)", False),
        ("y = local.f (x)", True),
        ("y = local.g (x)", False),
    ],
)  # fmt: skip
def test_a_graph_is_bounded_unless_values_decide_how_large_something_is(body, bounded):
    model = onnx.parser.parse_model(f"{_HEAD} {{ {body} }} {_FUNCTIONS.get(body, '')}")
    assert is_bounded(model) == bounded
