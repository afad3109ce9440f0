"""Every rule is the derivative: what it returns is what small changes of each number make of the output."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from models.onnx.gradient.graph import with_gradient
from models.onnx.gradient.rules import RULES

STEP = 2e-3
OPSET = 23

# What is done to x of a shape: nodes from x to y.


def case(shape, body, name=None):
    operator = name or body.split("=")[1].split("(")[0].split("<")[0].strip()
    return pytest.param(shape, body, operator, id=f"{operator}: {body}"[:90])


ONE_INPUT = [
    "Abs", "Cos", "Dropout", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Neg",
    "Relu", "Sigmoid", "Sin", "Softplus", "Tanh", "Mish", "Celu", "Selu", "Softsign", "Softmax",
    "LogSoftmax", "GlobalAveragePool", "GlobalMaxPool", "Flatten", "Transpose", "ReduceL2", "ReduceMax", "ReduceMean",
    "ReduceMin", "ReduceSum", "ReduceSumSquare", "ReduceL1", "ReduceLogSumExp",
]  # fmt: skip
CASES = [
    *(case((2, 3, 2, 4), f"y = {name} (x)") for name in ONE_INPUT),
    case((2, 3, 2, 4), 'y = Gelu <approximate: string = "tanh"> (x)'),
    case((2, 3, 2, 4), "a = Exp (x) y = Log (a)", "Log"),
    case((2, 3, 2, 4), "a = Exp (x) y = Sqrt (a)", "Sqrt"),
    case((2, 3, 2, 4), "a = Exp (x) y = Reciprocal (a)", "Reciprocal"),
    case((2, 3, 2, 4), "a = Exp (x) y = Pow (a, half)", "Pow"),
    case((2, 3, 2, 4), "y = Pow (x, two)"),
    case((2, 3, 2, 4), "y = HardSigmoid <alpha: float = 0.1666667, beta: float = 0.5> (x)"),
    case((2, 3, 2, 4), "y = LeakyRelu <alpha: float = 0.3> (x)"),
    case((2, 3, 2, 4), "y = Clip (x, , one_float)"),
    case((2, 3, 2, 4), "low = Neg (one_float) y = Clip (x, low, one_float)", "Clip"),
    case((2, 3, 2, 4), "y = PRelu (x, channels)"),
    case((2, 3, 2, 4), "y = Cast <to: int = 1> (x)"),
    case((2, 3, 2, 4), "y = CastLike (x, half)"),
    # two inputs that depend on x, of different shapes
    *(
        case((2, 3, 2, 4), f"a = ReduceMax <keepdims: int = 1> (x, space) b = Exp (a) y = {name} (x, b)", name)
        for name in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean")
    ),
    case((2, 3, 2, 4), "a = ReduceSum <keepdims: int = 0> (x) y = Mul (a, x)", "Mul"),
    case((2, 3, 2, 4), "y = Mul (x, x)"),
    case((2, 3, 2, 4), "y = Add (channels, x)"),
    case((4,), "y = Mul (x, channels)"),  # what the constant has more axes than
    case((2, 3, 2, 4), "a = Greater (x, half) b = Neg (x) y = Where (a, x, b)", "Where"),
    # reductions over some axes, kept or not
    *(
        case((2, 3, 2, 4), f"y = {name} <keepdims: int = {kept}> (x, {axes})", name)
        for name in ("ReduceMean", "ReduceMax", "ReduceL2", "ReduceSumSquare", "ReduceSum", "ReduceLogSumExp")
        for kept, axes in ((0, "space"), (1, "last"))
    ),
    case((2, 3, 2, 4), "y = ReduceMean <noop_with_empty_axes: int = 1> (x)"),
    case((2, 3, 2, 4), "y = ReduceMax <noop_with_empty_axes: int = 1> (x)"),
    # windows
    case((2, 2, 5, 6), "y = Conv (x, kernels3)"),
    case((2, 2, 5, 6), "y = Conv <pads: ints = [1, 0, 1, 2], strides: ints = [2, 3]> (x, kernels3)"),
    case((2, 2, 6, 7), "y = Conv <dilations: ints = [2, 1], pads: ints = [2, 1, 0, 1]> (x, kernels3)"),
    case((1, 6, 4, 4), "y = Conv <group: int = 3, strides: ints = [2, 2], pads: ints = [1, 1, 1, 1]> (x, kernels3)"),
    case((1, 2, 5, 6), 'y = Conv <auto_pad: string = "SAME_UPPER", strides: ints = [2, 2]> (x, kernels3)'),
    case((1, 2, 5, 6), 'y = Conv <auto_pad: string = "SAME_LOWER", strides: ints = [2, 2]> (x, kernels3)'),
    case((1, 2, 5, 6), 'y = Conv <auto_pad: string = "VALID", strides: ints = [2, 2]> (x, kernels3)'),
    case((1, 3, 3, 4), "y = ConvTranspose <strides: ints = [2, 2], pads: ints = [1, 1, 0, 0]> (x, kernels3)"),
    *(
        case(
            (2, 2, 5, 6),
            f"y = {name} <kernel_shape: ints = [3, 2], strides: ints = [2, 1], pads: ints = [1, 0, 1, 1]{more}> (x)",
            name,
        )
        for name in ("MaxPool", "AveragePool")
        for more in ("", ", ceil_mode: int = 1", ", dilations: ints = [1, 2]")
    ),
    case((1, 2, 5, 6), "y = AveragePool <kernel_shape: ints = [3, 3], pads: ints = [1, 1, 1, 1], "
         "count_include_pad: int = 1, strides: ints = [2, 2], ceil_mode: int = 1> (x)"),
    case((1, 2, 5, 6), 'y = AveragePool <kernel_shape: ints = [3, 3], auto_pad: string = "SAME_UPPER"> (x)'),
    case((1, 2, 5, 5), "y = MaxPool <kernel_shape: ints = [3, 3]> (x)"),  # windows that overlap
    # matrices
    case((3, 4), "a = Gemm <alpha: float = 0.5> (x, square4) y = Identity (a)", "Gemm"),
    case((4, 3), "y = Gemm <transA: int = 1, transB: int = 1, alpha: float = 0.5> (x, square4)"),
    case((4, 4), "y = Gemm <transA: int = 1, beta: float = 0.5> (x, x, x)"),
    case((4, 4), "y = Gemm <transB: int = 1, beta: float = 0.5> (x, x, x)"),
    case((4, 4), "y = Gemm <transA: int = 1, transB: int = 1> (x, x)"),
    case((4, 4), "a = ReduceSum <keepdims: int = 0> (x, first) y = Gemm (x, x, a)", "Gemm"),
    case((2, 3, 4), "y = MatMul (x, square4)"),
    case((2, 3, 4), "y = MatMul (square3, x)"),
    case((2, 3, 4), "a = Transpose <perm: ints = [0, 2, 1]> (x) y = MatMul (x, a)", "MatMul"),
    case((2, 4, 4), "a = ReduceSum <keepdims: int = 0> (x, first) y = MatMul (x, a)", "MatMul"),
    case((2, 3, 4), 'y = Einsum <equation: string = "bij, bkj -> bik"> (x, x)'),
    # normalisation
    case((2, 3, 2, 4), "y = BatchNormalization (x, three, three, three, positive)"),
    case((2, 3, 2, 4), "y = InstanceNormalization <epsilon: float = 0.1> (x, three, three)"),
    case((2, 3, 4), "y = LayerNormalization <epsilon: float = 0.1> (x, four, four)"),
    case((2, 3, 4), "y = LayerNormalization <axis: int = 1> (x, four)"),
    case((2, 4, 3), "y = GroupNormalization <num_groups: int = 2> (x, four, four)"),
    case((2, 3, 4), "y = RMSNormalization (x, four)"),
    case((2, 3, 4), "y = Softmax <axis: int = 1> (x)"),
    case((2, 3, 4), "y = LogSoftmax <axis: int = 0> (x)"),
    # numbers that are moved
    case((2, 3, 4), "y = Reshape (x, twelve)"),
    case((2, 1, 4), "y = Squeeze (x)"),
    case((2, 3, 4), "y = Unsqueeze (x, first)"),
    case((2, 3, 4), "y = Transpose <perm: ints = [1, 2, 0]> (x)"),
    case((2, 3, 4), "a = Neg (x) y = Concat <axis: int = 1> (x, half_map, a)", "Concat"),
    case((2, 3, 4), "y = Concat <axis: int = -1> (x, x)"),
    case((2, 1, 4), "y = Expand (x, two_three_four)"),
    case((2, 3, 4), "y = Gather <axis: int = 1> (x, repeated)"),
    case((2, 3, 4), "y = Gather <axis: int = 2> (x, zero)"),
    case((2, 3), "y = GatherElements <axis: int = 1> (x, places)"),
    case((3, 3), "y = GatherND (x, places)"),
    case((2, 3, 4), "y = Slice (x, first, first_two, last)"),
    case((2, 3, 4), "a, y = Split <axis: int = 1> (x, one_two)", "Split"),
    case((2, 3, 4), "a, b = Split <axis: int = 2, num_outputs: int = 2> (x) y = Mul (a, b)", "Split"),
    case((2, 3), "y = Tile (x, one_two)"),
    case((2, 3), "y = Pad (x, pads)"),
    case((2, 3), 'y = Pad <mode: string = "reflect"> (x, pads)'),
    case((2, 3), 'y = Pad <mode: string = "edge"> (x, pads)'),
    case((2, 3, 4), "y = Pad (x, one_two, half, last)"),
    case((3, 4), "y = Pad (x, cut)"),
    # of three inputs by ONNX's own definition
    case((1, 2, 3, 4), "y = Attention (x, x, x)"),
]  # fmt: skip


def wave(*shape):
    return np.sin(1 + np.arange(np.prod(shape), dtype=np.float32) * 0.7).reshape(shape).astype(np.float32)


CONSTANTS = {
    "zero": np.int64(0),
    "first": np.array([0]),
    "first_two": np.array([2]),
    "last": np.array([-1]),
    "space": np.array([2, 3]),
    "one_two": np.array([1, 2]),
    "repeated": np.array([[2, 0, 2], [-1, 1, 0]]),
    "places": np.array([[2, 0], [1, 1]]),
    "pads": np.array([1, 2, 0, 1]),
    "cut": np.array([-1, 1, 0, -2]),
    "twelve": np.array([0, 12]),
    "two_three_four": np.array([2, 3, 4]),
    "one_float": np.float32(1),
    "half": np.float32(0.5),
    "two": np.int64(2),
    "half_map": wave(2, 2, 4),
    "channels": wave(3, 1, 1),
    "three": wave(3),
    "four": wave(4),
    "positive": wave(3) ** 2 + np.float32(0.1),
    "square3": wave(3, 3),
    "square4": wave(4, 4),
}


def make(shape, body):
    model = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["": {OPSET}]> g (float{list(shape)} x) => (float y) {{ {body} }}'
    )
    groups = 3 if "group: int = 3" in body else 1
    kernels = wave(3, shape[1] // groups, 3, 3) if len(shape) == 4 else wave(1)
    for name, values in {**CONSTANTS, "kernels3": kernels}.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(values), name))
    del model.graph.output[:]
    model.graph.output.append(onnx.ValueInfoProto(name="y"))
    return model


def open_session(model):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options)


@pytest.mark.parametrize(("shape", "body", "operator"), CASES)
def test_the_gradient_is_what_small_changes_make(shape, body, operator):
    model = make(shape, body)
    forward, backward = open_session(model), open_session(with_gradient(model, "x", output="y"))
    count = int(np.prod(shape))
    # No two are equal, and none is near zero, one or three, where functions have kinks.
    x = np.random.default_rng(1).permutation(np.linspace(-2.03, 2.11, count)).astype(np.float32).reshape(shape)
    (y,) = forward.run(["y"], {"x": x})
    direction = wave(*y.shape)
    _, gradient = backward.run(["y", "gradient"], {"x": x, "direction": direction})
    assert gradient.shape == shape
    measured = np.zeros(count)
    for i in range(count):
        changes = []
        for sign in (1, -1):
            moved = x.copy()
            moved.flat[i] += sign * STEP
            changes.append(forward.run(["y"], {"x": moved})[0].astype(np.float64))
        measured[i] = ((changes[0] - changes[1]) * direction).sum() / (2 * STEP)
    scale = max(1.0, np.abs(measured).max())
    assert gradient.ravel() == pytest.approx(measured, abs=4e-3 * scale)


def test_every_rule_has_a_case():
    assert {*RULES} <= {case.values[2] for case in CASES}
