"""The native kernels say what the definition says, and the service does without them where they are not there."""

import ctypes
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

import scs.native
from models.cards.catalogue import bundled_repository, find
from models.onnx import native
from models.onnx import op as onnx_op
from models.runtime.onnx_session import OnnxModel

INSTRUCTION_SETS = "x86_64_v4", "x86_64_v3", "baseline"
SCS_MODELS = "mnist-scs", "cifar10-scs"

# name: image (N, C, H, W), kernels, group, kernel size, pads (top, left, bottom, right), strides, dilations
CASES = {
    "dense": ((2, 3, 9, 8), 5, 1, (3, 3), (1, 1, 1, 1), (1, 1), (1, 1)),
    "many kernels": ((1, 2, 16, 16), 20, 1, (3, 3), (1, 1, 1, 1), (1, 1), (1, 1)),
    "many channels": ((1, 70, 8, 8), 13, 1, (3, 3), (1, 1, 1, 1), (1, 1), (1, 1)),
    "wide": ((1, 2, 5, 150), 7, 1, (3, 3), (1, 1, 1, 1), (1, 1), (1, 1)),
    "wider than a tile, with nothing left over": ((1, 1, 3, 128), 3, 1, (3, 3), (1, 1, 1, 1), (1, 1), (1, 1)),
    "many small images": ((37, 3, 5, 5), 4, 1, (3, 3), (1, 1, 1, 1), (1, 1), (1, 1)),
    "depthwise": ((2, 4, 9, 8), 4, 4, (3, 3), (1, 1, 1, 1), (1, 1), (1, 1)),
    "depthwise, small": ((9, 33, 4, 4), 33, 33, (3, 3), (1, 1, 1, 1), (1, 1), (1, 1)),
    "depthwise, wide": ((1, 2, 20, 140), 2, 2, (5, 5), (2, 2, 2, 2), (1, 1), (1, 1)),
    "depthwise, dilated and strided": ((1, 3, 12, 11), 3, 3, (3, 2), (2, 1, 0, 1), (2, 3), (1, 3)),
    "two groups": ((2, 6, 7, 7), 8, 2, (3, 3), (1, 1, 1, 1), (1, 1), (1, 1)),
    "pointwise": ((2, 6, 9, 8), 4, 1, (1, 1), (0, 0, 0, 0), (1, 1), (1, 1)),
    "pointwise, smaller than a vector": ((21, 5, 3, 3), 7, 1, (1, 1), (0, 0, 0, 0), (1, 1), (1, 1)),
    "pointwise, large": ((1, 3, 70, 33), 9, 1, (1, 1), (0, 0, 0, 0), (1, 1), (1, 1)),
    "pointwise, in groups": ((2, 6, 5, 5), 9, 3, (1, 1), (0, 0, 0, 0), (1, 1), (1, 1)),
    "pointwise, strided": ((2, 3, 9, 8), 4, 1, (1, 1), (0, 0, 0, 0), (2, 2), (1, 1)),
    "pointwise, padded": ((2, 3, 4, 4), 4, 1, (1, 1), (1, 0, 0, 1), (1, 1), (1, 1)),
    "strided": ((2, 2, 9, 8), 3, 1, (3, 2), (1, 0, 1, 0), (2, 2), (1, 1)),
    "strided beyond the kernel": ((2, 2, 19, 17), 3, 1, (2, 2), (0, 0, 0, 0), (5, 4), (1, 1)),
    "padded on some sides only": ((2, 2, 9, 8), 3, 1, (3, 3), (0, 1, 2, 0), (1, 1), (1, 1)),
    "dilated": ((2, 2, 9, 8), 3, 1, (3, 3), (2, 1, 2, 1), (1, 1), (2, 1)),
    "one pixel": ((1, 1, 1, 1), 1, 1, (1, 1), (0, 0, 0, 0), (1, 1), (1, 1)),
    "the whole image": ((3, 2, 7, 5), 4, 1, (7, 5), (0, 0, 0, 0), (1, 1), (1, 1)),
}
POOLED = [name for name, case in CASES.items() if min(case[0][2:]) > 7 and case[5] == (1, 1)]


@pytest.fixture(params=INSTRUCTION_SETS)
def instruction_set(request, native_library):
    loaded = scs.native.load(native_library)
    best = scs.native.instruction_set(loaded)
    if not loaded.scs_choose_instruction_set(request.param.encode()):
        pytest.skip(f"needs a processor that runs {request.param}")
    yield request.param
    assert loaded.scs_choose_instruction_set(best.encode())


@pytest.fixture
def with_library(native_library, monkeypatch):
    """The kernels as they are where `make native` has run."""
    monkeypatch.setattr(native, "LIBRARY", native_library)
    forget()
    yield native.library()
    forget()


@pytest.fixture
def without_library(tmp_path, monkeypatch):
    monkeypatch.setattr(native, "LIBRARY", tmp_path / "libscs.so")
    forget()
    yield native.LIBRARY
    forget()


def forget():
    native.library.cache_clear()
    native.available.cache_clear()


def call(case, constants, op=onnx_op.SIMILARITY, **attributes):
    """A model of one call; what is not constant is an input."""
    (_, channels, _, _), kernels, group, kernel_shape, pads, strides, dilations = case
    shapes = {"x": ("N", channels, "H", "W"), "w": (kernels, channels // group, *kernel_shape), "q": ()}
    shapes |= dict.fromkeys(("p", "gain", "bias"), (kernels,))
    optional = [name for name in ("gain", "bias") if name in constants]
    needed = ["x"] if op.startswith("Window") else ["x", "w", "p", "q", *optional]
    if op == onnx_op.SIMILARITY:
        attributes["group"] = group
    attributes |= {"kernel_shape": kernel_shape, "pads": pads, "strides": strides, "dilations": dilations}
    node = helper.make_node(op, needed, ["y"], domain=onnx_op.DOMAIN, **attributes)
    given = [numpy_helper.from_array(value, name) for name, value in constants.items() if value is not None]
    named = {tensor.name for tensor in given}
    asked = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shapes[n]) for n in needed if n not in named]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)
    graph = helper.make_graph([node], "one_call", asked, [output], given)
    opsets = [helper.make_opsetid("", onnx_op.ONNX_OPSET), helper.make_opsetid(onnx_op.DOMAIN, onnx_op.VERSION)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnx_op.attach(model)
    return model


def session(model, library, threads=1):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.register_custom_ops_library(str(library))
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def draw(case, seed=0):
    shape, kernels, group, kernel_shape, *_ = case
    random = np.random.default_rng(seed)
    x = random.normal(size=shape).astype(np.float32)
    w = random.normal(size=(kernels, shape[1] // group, *kernel_shape)).astype(np.float32)
    return {"x": x, "w": w, "p": np.linspace(0.7, 3, kernels, dtype=np.float32), "q": np.array(0.3, np.float32)}


def patches(case, x):
    """Every patch of every channel in float64, (N, C, H', W', taps)."""
    *_, (tall, wide), (top, left, bottom, right), (down, across), (sparse, spread) = case
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (top, bottom), (left, right)))
    view = np.lib.stride_tricks.sliding_window_view(x, (sparse * (tall - 1) + 1, spread * (wide - 1) + 1), (2, 3))
    view = view[:, :, ::down, ::across, ::sparse, ::spread]
    return view.reshape(*view.shape[:4], -1)


def oracle(case, x, w, p, q, gain=1.0, bias=0.0):
    """The definition in float64."""
    group, kernels = case[2], len(w)
    seen = patches(case, x)
    n, channels, high, wide, _ = seen.shape
    seen = seen.reshape(n, group, channels // group, high, wide, -1)
    taps = w.astype(np.float64).reshape(group, kernels // group, channels // group, -1)
    dot = np.einsum("ngchwt,gkct->ngkhw", seen, taps).reshape(n, kernels, high, wide)
    energy = np.einsum("ngchwt,ngchwt->nghw", seen, seen).repeat(kernels // group, 1)
    norms = np.sqrt((w.astype(np.float64) ** 2).sum((1, 2, 3)))[:, None, None]
    cosine = dot / ((np.sqrt(energy) + q) * (norms + q))
    exponent = p.astype(np.float64)[:, None, None] - 1
    y = cosine * (np.abs(cosine) + 1e-6) ** exponent
    column = [np.reshape(np.broadcast_to(each, kernels), (-1, 1, 1)) for each in (gain, bias)]
    return y * column[0] + column[1]


def pooled(y, by_magnitude):
    n, k, high, wide = y.shape
    fours = y[:, :, : high // 2 * 2, : wide // 2 * 2].reshape(n, k, high // 2, 2, wide // 2, 2)
    highest, lowest = fours.max((3, 5)), fours.min((3, 5))
    return np.where(highest >= -lowest, highest, lowest) if by_magnitude else highest


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_a_layer_agrees_with_the_definition(name, threads, instruction_set, native_library):
    case, values = CASES[name], draw(CASES[name])
    (y,) = session(call(case, {}), native_library, threads).run(None, values)
    np.testing.assert_allclose(y, oracle(case, **values), rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", CASES)
def test_kernels_may_be_constants(name, native_library):
    case, values = CASES[name], draw(CASES[name])
    made = session(call(case, {key: values[key] for key in "wpq"}), native_library)
    for seed in (0, 1):  # again, with what was kept
        x = draw(case, seed)["x"]
        np.testing.assert_allclose(made.run(None, {"x": x})[0], oracle(case, **(values | {"x": x})), rtol=0, atol=2e-6)


@pytest.mark.parametrize("by_magnitude", [True, False])
@pytest.mark.parametrize("name", POOLED)
def test_gain_bias_and_pooling_are_those_of_the_layers_that_follow(name, by_magnitude, instruction_set, native_library):
    case, values = CASES[name], draw(CASES[name])
    random = np.random.default_rng(2)
    gain = random.normal(size=case[1]).astype(np.float32)
    bias = None if by_magnitude else random.normal(size=case[1]).astype(np.float32)
    constants = {"gain": gain} | ({} if bias is None else {"bias": bias})
    plain = session(call(case, constants), native_library).run(None, values)[0]
    expected = oracle(case, **values, gain=gain, bias=0 if bias is None else bias)
    np.testing.assert_allclose(plain, expected, rtol=0, atol=4e-6)
    model = call(case, constants, pool=2, pool_by_magnitude=int(by_magnitude))
    for threads in (1, 2):
        (y,) = session(model, native_library, threads).run(None, values)
        np.testing.assert_allclose(y, pooled(expected, by_magnitude), rtol=0, atol=4e-6)


def test_of_opposites_the_positive_one_is_kept(instruction_set, native_library):
    case = ((1, 1, 16, 32), 1, 1, (1, 1), (0, 0, 0, 0), (1, 1), (1, 1))
    signs = np.random.default_rng(0).choice(np.float32([-1, 1]), (1, 1, 16, 32))
    values = draw(case) | {"x": signs, "w": np.ones((1, 1, 1, 1), np.float32)}
    (y,) = session(call(case, {}, pool=2, pool_by_magnitude=1), native_library).run(None, values)
    np.testing.assert_array_equal(np.sign(y), pooled(signs, by_magnitude=True))


@pytest.mark.parametrize("op", ["WindowSumSquare", "WindowSquare"])
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[2] in (1, case[0][1])])
def test_energies_are_sums_of_squares(name, op, instruction_set, native_library):
    case, x = CASES[name], draw(CASES[name])["x"]
    squares = (patches(case, x) ** 2).sum(-1)
    expected = squares if op == "WindowSquare" else squares.sum(1, keepdims=True)
    (energy,) = session(call(case, {}, op), native_library, threads=2).run(None, {"x": x})
    np.testing.assert_allclose(energy, expected, rtol=2e-6)


@pytest.mark.parametrize("own", [False, True], ids=["one energy", "an energy for each kernel"])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (4, 4), (33, 40)])
def test_sharpening_agrees_with_the_definition(size, own, instruction_set, native_library):
    random = np.random.default_rng(0)
    kernels = 5
    dot = random.uniform(-1, 1, (2, kernels, *size)).astype(np.float32)
    energy = random.uniform(0, 4, (2, kernels if own else 1, *size)).astype(np.float32)
    p, q = np.linspace(1, 3, kernels, dtype=np.float32), np.array(0.2, np.float32)
    (y,) = sharpening(kernels, own, native_library).run(None, {"dot": dot, "energy": energy, "p": p, "q": q})
    cosine = dot.astype(np.float64) / (np.sqrt(energy.astype(np.float64)) + 0.2)
    expected = cosine * (np.abs(cosine) + 1e-6) ** (p.astype(np.float64)[:, None, None] - 1)
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)


def sharpening(kernels, own, library):
    node = helper.make_node("Sharpen", ["dot", "energy", "p", "q"], ["y"], domain=onnx_op.DOMAIN)
    shapes = [["N", kernels, "H", "W"], ["N", kernels if own else 1, "H", "W"], [kernels], []]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in zip(node.input, shapes, strict=True)
    ]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)
    opsets = [helper.make_opsetid("", onnx_op.ONNX_OPSET), helper.make_opsetid(onnx_op.DOMAIN, onnx_op.VERSION)]
    model = helper.make_model(helper.make_graph([node], "g", inputs, [output]), opset_imports=opsets, ir_version=10)
    onnx_op.attach(model)
    return session(model, library, threads=2)


@pytest.mark.parametrize("q", [0.0, 0.3])
@pytest.mark.parametrize("name", ["dense", "depthwise", "pointwise", "dilated"])
def test_a_blank_image_matches_nothing_and_gives_no_nan(name, q, instruction_set, native_library):
    values = draw(CASES[name])
    blank = values | {"x": np.zeros_like(values["x"]), "q": np.array(q, np.float32)}
    assert (session(call(CASES[name], {}), native_library).run(None, blank)[0] == 0).all()


@pytest.mark.parametrize("name", ["dense", "depthwise", "pointwise", "dilated"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_comes_through_and_stays_where_it_is(name, bad, instruction_set, native_library):
    case, values = CASES[name], draw(CASES[name])
    x = values["x"].copy()
    x[0, 1, 4, 4] = bad
    (y,) = session(call(case, {}), native_library).run(None, values | {"x": x})
    touched = np.isnan(patches(case, np.where(np.isfinite(x), 0, np.nan))).any(-1)
    touched = touched if case[2] > 1 else touched.any(1, keepdims=True)
    np.testing.assert_array_equal(np.isfinite(y), np.broadcast_to(~touched, y.shape))


@pytest.mark.parametrize("name", CASES)
def test_no_images_give_no_maps(name, native_library):
    values = draw(CASES[name])
    expected = oracle(CASES[name], **values).shape[1:]
    (y,) = session(call(CASES[name], {}), native_library).run(None, values | {"x": values["x"][:0]})
    assert y.shape == (0, *expected)


def test_kernels_that_do_not_fit_the_images_are_refused_in_one_sentence(native_library):
    case = CASES["dense"]
    values = draw(case)
    with pytest.raises(Exception, match=r"images \(N, 3, H, W\); \(2, 4, 9, 8\) came"):
        made = call(case, {})
        made.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "C"
        session(made, native_library).run(None, values | {"x": np.zeros((2, 4, 9, 8), np.float32)})


def test_a_function_in_a_file_is_taken_over_as_a_whole(native_library, tmp_path):
    options = ort.SessionOptions()
    options.register_custom_ops_library(str(native_library))
    options.enable_profiling, options.profile_file_prefix = True, str(tmp_path / "profile")
    case = CASES["depthwise"]
    made = ort.InferenceSession(call(case, {}).SerializeToString(), options, providers=["CPUExecutionProvider"])
    made.run(None, draw(case))
    events = json.loads(Path(made.end_profiling()).read_text())
    ran = {event["args"]["op_name"] for event in events if event["name"].endswith("_kernel_time")}
    takes_layers = ctypes.CDLL(str(native_library)).scs_takes_layers()
    assert ran == ({"SharpenedCosineSimilarity"} if takes_layers else {"Mul", "Conv", "WindowSquare", "Sharpen"} & ran)


def follow(nodes, initializers, outputs):
    """An SCS layer, y, and what follows it."""
    case = CASES["many kernels"]
    model = call(case, {key: value for key, value in draw(case).items() if key != "x"})
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(numpy_helper.from_array(np.float32(v), k) for k, v in initializers.items())
    del model.graph.output[:]
    model.graph.output.extend(helper.make_tensor_value_info(n, TensorProto.FLOAT, [None] * 4) for n in outputs)
    return model, draw(case)["x"]


HALVING = {"kernel_shape": [2, 2], "strides": [2, 2]}
MAX_ABS = [
    helper.make_node("MaxPool", ["{}"], ["highest"], **HALVING),
    helper.make_node("Neg", ["{}"], ["negative"]),
    helper.make_node("MaxPool", ["negative"], ["of_negative"], **HALVING),
    helper.make_node("Neg", ["of_negative"], ["lowest"]),
    helper.make_node("Neg", ["lowest"], ["of_lowest"]),
    helper.make_node("GreaterOrEqual", ["highest", "of_lowest"], ["is_highest"]),
    helper.make_node("Where", ["is_highest", "highest", "lowest"], ["pooled"]),
]


def max_abs(name):
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in MAX_ABS]
    nodes[0].input[0] = nodes[1].input[0] = name
    return nodes


MUL = helper.make_node("Mul", ["y", "g"], ["scaled"])
ADD = helper.make_node("Add", ["scaled", "b"], ["shifted"])
GAINS, BIASES = np.linspace(-2, 2, 20).reshape(20, 1, 1), np.linspace(-1, 1, 20).reshape(1, 20, 1, 1)
# what follows, its constants, the outputs, and what is left beside the layer
FOLLOWERS = {
    "a gain": ([MUL], {"g": 3.0}, ["scaled"], []),
    "a gain each": ([MUL], {"g": GAINS}, ["scaled"], []),
    "a gain on the left": ([helper.make_node("Mul", ["g", "y"], ["scaled"])], {"g": GAINS}, ["scaled"], []),
    "gain and bias": ([MUL, ADD], {"g": GAINS, "b": BIASES}, ["shifted"], []),
    "bias and gain": (
        [helper.make_node("Add", ["y", "b"], ["z"]), helper.make_node("Mul", ["z", "g"], ["scaled"])],
        {"g": GAINS, "b": BIASES},
        ["scaled"],
        [],
    ),
    "gain and max-abs pooling": ([MUL, *max_abs("scaled")], {"g": GAINS}, ["pooled"], []),
    "gain, bias and pooling": (
        [MUL, ADD, helper.make_node("MaxPool", ["shifted"], ["pooled"], **HALVING)],
        {"g": GAINS, "b": BIASES},
        ["pooled"],
        [],
    ),
    "bias and max-abs pooling, which do not change places": (
        [MUL, ADD, *max_abs("shifted")],
        {"g": GAINS, "b": BIASES},
        ["pooled"],
        [node.op_type for node in MAX_ABS],
    ),
    "what is an output, too": (
        [MUL, *max_abs("scaled")],
        {"g": 2.0},
        ["pooled", "scaled"],
        [n.op_type for n in MAX_ABS],
    ),
    "what is used twice": ([MUL, helper.make_node("Exp", ["y"], ["e"])], {"g": 2.0}, ["scaled", "e"], ["Mul", "Exp"]),
    "a factor for each place": ([MUL], {"g": np.ones((16, 16))}, ["scaled"], ["Mul"]),
    "pooling at every place": (
        [helper.make_node("MaxPool", ["y"], ["pooled"], kernel_shape=[2, 2], strides=[1, 1])],
        {},
        ["pooled"],
        ["MaxPool"],
    ),
    "overlapping windows": (
        [helper.make_node("MaxPool", ["y"], ["pooled"], kernel_shape=[3, 3], strides=[2, 2])],
        {},
        ["pooled"],
        ["MaxPool"],
    ),
}


@pytest.mark.parametrize("name", FOLLOWERS)
def test_what_follows_a_layer_is_joined_with_it_where_it_can_be_and_changes_nothing(name, with_library, native_library):
    nodes, initializers, outputs, left = FOLLOWERS[name]
    model, x = follow(nodes, initializers, outputs)
    before = model.SerializeToString()
    joined = native.joined(model)
    assert model.SerializeToString() == before
    expected = ort.InferenceSession(before, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    for found, wanted in zip(session(joined, native_library).run(None, {"x": x}), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=5e-6)
    if native.takes_layers(with_library):
        assert [node.op_type for node in joined.graph.node] == [onnx_op.SIMILARITY, *left]


@pytest.mark.parametrize("name", [*SCS_MODELS, "shapes-scs"])
@pytest.mark.parametrize("side", ["as trained", "odd"])
def test_a_model_answers_the_same_by_native_and_portable_kernels(
    name, side, native_library, blurred_repository, monkeypatch
):
    entry = find(blurred_repository if name == "shapes-scs" else bundled_repository(), name)
    size = entry.card().input
    height, width = (size.height, size.width) if side == "as trained" else (size.height + 9, size.width + 3)
    images = np.random.default_rng(0).integers(0, 256, (5, height, width, size.channels), np.uint8)
    names = [layer.name for layer in entry.card().layers]
    answers = {}
    for library in (native_library, native_library.with_name("none.so")):
        monkeypatch.setattr(native, "LIBRARY", library)
        forget()
        model = OnnxModel(entry.verified_bytes(), entry.card(), "cpu")
        answers[model.kernels] = {
            **model.layers(images, names),
            "alone": model.logits(images),
            "logits": model.logits(images),
        }
    forget()
    assert answers.keys() == {"native", "portable"}
    for key, expected in answers["portable"].items():
        size_of = np.abs(expected).max()
        np.testing.assert_allclose(answers["native"][key], expected, rtol=0, atol=1e-5 * size_of, err_msg=key)


def test_a_network_without_the_op_has_no_kernels_to_choose(with_library):
    entry = find(bundled_repository(), "mnist-conv")
    assert OnnxModel(entry.verified_bytes(), entry.card(), "cpu").kernels is None


def test_the_kernels_of_this_machine_are_described(with_library):
    assert native.described() == f"native, {scs.native.instruction_set(with_library)}"


def test_without_the_library_nothing_is_logged_and_the_portable_kernels_run(without_library, caplog):
    entry = find(bundled_repository(), "mnist-scs")
    assert OnnxModel(entry.verified_bytes(), entry.card(), "cpu").kernels == "portable"
    assert native.described() == "portable; `make native` builds faster ones"
    assert caplog.text == ""


def test_a_library_that_is_no_good_is_logged_once_and_the_portable_kernels_run(without_library, caplog):
    without_library.write_bytes(b"not a library")
    entry = find(bundled_repository(), "mnist-scs")
    for _ in range(2):
        assert OnnxModel(entry.verified_bytes(), entry.card(), "cpu").kernels == "portable"
    assert native.described() == "portable"
    assert len(caplog.records) == 1


def test_a_runtime_that_refuses_the_library_is_logged_once_and_the_portable_kernels_run(
    with_library, caplog, monkeypatch
):
    def refuse(options):
        raise RuntimeError("needs ONNX Runtime 1.18 or newer\nand more")

    monkeypatch.setattr(native, "register", refuse)
    entry = find(bundled_repository(), "mnist-scs")
    for _ in range(2):
        assert OnnxModel(entry.verified_bytes(), entry.card(), "cpu").kernels == "portable"
    assert [record.message for record in caplog.records] == [
        "the native kernels cannot be used: needs ONNX Runtime 1.18 or newer"
    ]


def test_eight_threads_get_the_answers_that_one_gets(with_library):
    entry = find(bundled_repository(), "cifar10-scs")
    model = OnnxModel(entry.verified_bytes(), entry.card(), "cpu")
    images = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), np.uint8)
    alone = [model.logits(images[2 * i : 2 * i + 2]) for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda i: model.logits(images[2 * (i % 8) : 2 * (i % 8) + 2]), range(64)))
    for i, answer in enumerate(together):
        np.testing.assert_array_equal(answer, alone[i % 8])


@pytest.mark.parametrize("scale", [1e19, 1e23])
@pytest.mark.parametrize("name", ["dense", "depthwise", "pointwise"])
def test_values_whose_squares_float32_cannot_hold_have_their_cosine(name, scale, instruction_set, native_library):
    values = draw(CASES[name])
    for which in ("x", "w"):
        huge = values | {which: values[which] * np.float32(scale)}
        (y,) = session(call(CASES[name], {}), native_library).run(None, huge)
        np.testing.assert_allclose(y, oracle(CASES[name], **huge), rtol=0, atol=3e-6)


@pytest.mark.parametrize("name", ["dense", "depthwise", "pointwise"])
def test_patches_of_a_norm_beyond_1e24_are_similar_to_nothing(name, instruction_set, native_library):
    values = draw(CASES[name])
    x = np.full_like(values["x"], 1e25)
    y = session(call(CASES[name], {}), native_library).run(None, values | {"x": x})[0]
    assert (y == 0).all(), "and no NaN"


@pytest.mark.parametrize("unit", [2**16, 5])
def test_energies_are_in_a_unit_that_the_file_says(unit, native_library):
    case, x = CASES["dense"], draw(CASES["dense"])["x"]
    made = call(case, {}, "WindowSumSquare", unit=unit)
    if unit == 5:
        with pytest.raises(Exception, match="a unit of 1 or 65536; 5 came"):
            session(made, native_library)
        return
    expected = ((patches(case, x) / unit) ** 2).sum(-1).sum(1, keepdims=True)
    np.testing.assert_allclose(session(made, native_library).run(None, {"x": x})[0], expected, rtol=2e-6)
