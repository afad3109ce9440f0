"""A model is what its card says, or it is refused with all that differs; what it does not take is found out."""

import hashlib

import numpy as np
import onnx
import pytest

from models.cards.card import ModelCard
from models.runtime.check import check_model
from models.runtime.load import load_model
from models.runtime.one_at_a_time import OneAtATime
from models.runtime.taken import Taken
from scs.errors import ModelError

# A network of two classes: `map` is a map for each, (N, 2, H, W), whose mean plus a bias is the logit.
HEAD = '<ir_version: 8, opset_import: ["": 18]> g (uint8[N,H,W,C] image) => (float[M,K] logits)'
BODY = """
    pixels = Cast <to = 1> (image)
    large = Constant <value = float {255.0}> ()
    nchw = Transpose <perm = [0, 3, 1, 2]> (pixels)
    x = Div (nchw, large)
    negative = Neg (x)
    map = Concat <axis = 1> (x, negative)
    places = Constant <value = int64[2] {2, 3}> ()
    means = ReduceMean <keepdims = 0> (map, places)
    bias = Constant <value = float[2] {0.5, -1.0}> ()
    scores = Add (means, bias)
"""
FIELD = {"size": 1, "stride": 1, "offset": 0}
LAYER = {"name": "map", "tensor": "map", "channels": 2, "receptive_field": FIELD, "signed": True}
PLAIN = "logits = Identity (scores)"
BIAS = [0.5, -1.0]
ANY = Taken()


INPUT = {"height": 6, "width": 8, "channels": 1, "smallest": 2}
CARD = {
    "name": "drawn",
    "version": 1,
    "description": "made for a test",
    "format": "onnx",
    "family": "none",
    "parameters": 1,
    "labels": ["light", "dark"],
    "input": INPUT,
    "layers": [LAYER],
    "class_map": "map",
    "class_bias": BIAS,
}


def check(body=PLAIN, head=HEAD, **changes):
    """Load a model of that body with a card that fits the plain one but for the changes, and check it."""
    content = onnx.parser.parse_model(f"{head} {{ {BODY} {body} }}").SerializeToString()
    card = ModelCard.model_validate(CARD | {"sha256": hashlib.sha256(content).hexdigest(), **changes})
    return check_model(load_model(content, card, "cpu"), card)


def layer(**changes):
    return {"layers": [LAYER | changes], "class_map": None, "class_bias": []}


NO_LAYERS = {"layers": [], "class_map": None, "class_bias": []}


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        (PLAIN, {}),
        (PLAIN, NO_LAYERS),
        (PLAIN, {"class_map": None}),
        (PLAIN, {"labels": ["same", "same"]}),
        (PLAIN, {"layers": [LAYER, LAYER | {"name": "again"}]}),
        (PLAIN, {"layers": [LAYER, LAYER | {"name": "x", "tensor": "x", "channels": 1, "signed": False}]}),
        (PLAIN, {"class_bias": [0.5 + 1e-4, -1.0]}),
        (PLAIN, {"input": INPUT | {"smallest": (8, 6)}}),
        ("logits = LogSoftmax <axis = 1> (scores)", NO_LAYERS),
        ("logits = Cast <to = 10> (scores)", {}),
        ("logits = Cast <to = 11> (scores)", {}),
        ("half = Cast <to = 10> (map) logits = Identity (scores)", layer(tensor="half")),
        ("logits, other = Split <axis = 1, num_outputs = 2> (scores)", {"labels": ["light"], **NO_LAYERS}),
    ],
)
def test_a_model_that_is_what_its_card_says_takes_everything(body, changes):
    kind = {"logits = Cast <to = 10> (scores)": "float16", "logits = Cast <to = 11> (scores)": "double"}.get(
        body, "float"
    )
    assert check(body, HEAD.replace("float[M,K]", f"{kind}[M,K]"), **changes) == ANY


NOT_FINITE = "the logits of a blank, white or noisy image are not all finite"
OUTPUTS = {
    "rank 4": "float[M,K,1,1]",
    "flat": "float[M]",
    "whole numbers": "int64[M,K]",
    "argmax": "int64[M,K]",
    "text": "string[M,K]",
    "truth": "bool[M,K]",
    "too large for float32": "double[M,K]",
}
REFUSED = [
    # what the card itself says
    ("unknown map", PLAIN, {"class_map": "zzz"}, "class_map names the layer 'zzz', which there is not"),
    ("no bias", PLAIN, {"class_bias": []}, "class_bias has 0 numbers for 2 classes"),
    ("long bias", PLAIN, {"class_bias": [0, 0, 0]}, "class_bias has 3 numbers for 2 classes"),
    ("thin map", PLAIN, {"layers": [LAYER | {"tensor": "x", "channels": 1}]}, "has 1 channels for 2 classes"),
    ("twice", PLAIN, {"layers": [LAYER, LAYER]}, "2 layers are called 'map'"),
    ("few labels", PLAIN, layer(labels=["a"]), "'map' has 2 channels and labels for 1"),
    ("large smallest", PLAIN, {"input": INPUT | {"smallest": 7}}, "smallest is 7x7, .* larger than the input's 8x6"),
    # the input and the outputs
    ("three classes", PLAIN, {"labels": ["a", "b", "c"]}, "needs the output logits of 3 classes"),
    ("colour", PLAIN, {"input": INPUT | {"channels": 3}, **NO_LAYERS}, "could not be loaded"),
    (
        "rank 4",
        "axes = Constant <value = int64[2] {2, 3}> () logits = Unsqueeze (scores, axes)",
        NO_LAYERS,
        r"4\] classes|logits",
    ),
    ("flat", "all = Constant <value = int64[1] {-1}> () logits = Reshape (scores, all)", NO_LAYERS, "logits"),
    (
        "whole numbers",
        "logits = Cast <to = 7> (scores)",
        NO_LAYERS,
        "2 classes, floating point; it has logits, tensor.int64.",
    ),
    ("argmax", "logits = ArgMax <axis = 1> (scores)", NO_LAYERS, "floating point; it has logits, tensor.int64."),
    ("text", "logits = Cast <to = 8> (scores)", NO_LAYERS, "floating point; it has logits, tensor.string."),
    ("truth", "logits = Cast <to = 9> (scores)", NO_LAYERS, "floating point; it has logits, tensor.bool."),
    ("sigmoid", "logits = Sigmoid (scores)", NO_LAYERS, "ends in a sigmoid"),
    ("sigmoid, cast", "s = Sigmoid (scores) d = Cast <to = 11> (s) logits = Cast <to = 1> (d)", NO_LAYERS, "sigmoid"),
    ("softmax", "logits = Softmax <axis = 1> (scores)", NO_LAYERS, "its logits are probabilities"),
    # numbers
    ("NaN", "z = Sub (scores, scores) logits = Div (z, z)", NO_LAYERS, NOT_FINITE),
    ("infinite", "z = Sub (scores, scores) logits = Div (scores, z)", NO_LAYERS, NOT_FINITE),
    ("NaN of blank", "logits = Div (scores, means)", NO_LAYERS, NOT_FINITE),
    (
        "NaN of white",
        "one = Constant <value = float {1.0}> () z = Sub (means, one) logits = Div (scores, z)",
        NO_LAYERS,
        NOT_FINITE,
    ),
    ("log of black", "logits = Log (means)", NO_LAYERS, NOT_FINITE),
    (
        "too large for float32",
        "k = Constant <value = float {1000.0}> () s = Mul (scores, k) d = Cast <to = 11> (s) logits = Exp (d)",
        NO_LAYERS,
        NOT_FINITE,
    ),
    (
        "layer of NaN",
        "z = Sub (map, map) n = Div (z, z) logits = Identity (scores)",
        layer(tensor="n"),
        "'map' is not finite",
    ),
    # layers
    ("no tensor", PLAIN, layer(tensor="zzz"), "tensor 'zzz' that the graph does not have"),
    ("the input", PLAIN, layer(tensor="image"), "tensor 'image' that the graph does not have as a node's output"),
    ("the output", PLAIN, layer(tensor="logits"), r"'map' needs maps \(1, 2, height, width\); \(1, 2\) came"),
    ("a constant", PLAIN, layer(tensor="bias"), r"'map' needs maps \(1, 2, height, width\); \(2,\) came"),
    ("a number", PLAIN, layer(tensor="large"), r"'map' needs maps \(1, 2, height, width\); \(\) came"),
    ("more channels", PLAIN, layer(channels=16), r"'map' needs maps \(1, 16, height, width\); \(1, 2, 6, 8\) came"),
    ("fewer channels", PLAIN, layer(channels=1), r"'map' needs maps \(1, 1, height, width\); \(1, 2, 6, 8\) came"),
    ("channels last", PLAIN, layer(tensor="pixels", channels=1), r"'map' needs maps \(1, 1, .*\(1, 6, 8, 1\) came"),
    (
        "whole numbers in a layer",
        "i = Cast <to = 6> (map) logits = Identity (scores)",
        layer(tensor="i"),
        "need to be floating point; int32 came",
    ),
    (
        "five dimensions",
        "a = Constant <value = int64[1] {4}> () five = Unsqueeze (map, a) logits = Identity (scores)",
        layer(tensor="five"),
        r"\(1, 2, 6, 8, 1\) came",
    ),
    (
        "no units",
        "s = Constant <value = int64[1] {0}> () one_axis = Constant <value = int64[1] {2}> () "
        "none = Slice (map, s, s, one_axis) logits = Identity (scores)",
        layer(tensor="none"),
        r"\(1, 2, 0, 8\) came",
    ),
    ("signs", PLAIN, layer(signed=False), "'map' is said to have no negative values, and has some"),
    (
        "receptive fields beside the picture",
        PLAIN,
        layer(receptive_field=FIELD | {"offset": 50}),
        "'map' has 6 units down",
    ),
    (
        "receptive fields too far apart",
        PLAIN,
        layer(receptive_field=FIELD | {"stride": 7}),
        "a stride of 7 .*puts elsewhere",
    ),
    (
        "receptive fields before the picture",
        PLAIN,
        layer(receptive_field=FIELD | {"offset": -40}),
        "'map' has 6 units down",
    ),
    ("another map", "logits = Mul (scores, scores)", {}, "'map' plus class_bias needs to be the logit; it is"),
    ("another bias", PLAIN, {"class_bias": [100, 0]}, "needs to be the logit; it is 99.5 away"),
    (
        "a bias of blank pictures only",
        "three = Constant <value = float {3.0}> () m = Mul (means, three) logits = Add (m, bias)",
        {},
        "needs to be the logit",
    ),
    # sizes
    (
        "smallest",
        "w = Constant <value = float[1,2,3,1] {1, 1, 1, 1, 1, 1}> () c = Conv (map, w) p = ReduceMean (c, places) "
        "two = Concat <axis = 1> (p, p) logits = Squeeze (two, places)",
        NO_LAYERS,
        "smallest is 2x2, and the network has no finite logits",
    ),
]


@pytest.mark.parametrize(("name", "body", "changes", "reason"), REFUSED, ids=[case[0] for case in REFUSED])
def test_a_model_that_is_not_what_its_card_says_is_refused_with_the_reason(name, body, changes, reason):
    with pytest.raises(ModelError, match=reason) as raised:
        check(body, HEAD.replace("float[M,K]", OUTPUTS.get(name, "float[M,K]")), **changes)
    assert "\n" not in str(raised.value)


def test_all_that_differs_is_said_at_once():
    wrong = [LAYER | {"name": f"layer{i}", "channels": 3} for i in range(20)]
    with pytest.raises(ModelError) as raised:
        check(layers=wrong, class_map=None)
    assert str(raised.value).count("needs maps") == 12
    assert str(raised.value).endswith("and 8 more")


@pytest.mark.parametrize(
    ("shape", "taken"),
    [
        ("N,6,8,1", Taken(fixed=True)),
        ("N,6,W,1", Taken(fixed=True)),
        ("1,H,W,1", Taken(one_at_a_time=True)),
        ("1,6,8,1", Taken(fixed=True, one_at_a_time=True)),
    ],
)
def test_declared_sizes_are_found_out(shape, taken):
    assert check(head=HEAD.replace("N,H,W,C", shape)) == taken


@pytest.mark.parametrize("shape", ["N,7,8,1", "N,6,9,1", "8,H,W,1", "N,H,W,3", "N,H,W"])
def test_declared_sizes_that_no_picture_of_the_card_has_are_refused(shape):
    with pytest.raises(ModelError, match="needs the input image|could not be loaded"):
        check(head=HEAD.replace("N,H,W,C", shape))


RESHAPED = "shape = Constant <value = int64[2] {%s}> () flat = Reshape (x, shape) "
WEIGHTS = ", ".join(map(str, range(48)))
DENSE = f"w = Constant <value = float[48, 1] {{{WEIGHTS}}}> () y = MatMul (flat, w) logits = Concat <axis = 1> (y, y)"


@pytest.mark.parametrize(
    ("body", "taken"),
    [
        (RESHAPED % "-1, 48" + DENSE, Taken(fixed=True)),
        (RESHAPED % "1, 48" + DENSE, Taken(fixed=True, one_at_a_time=True)),
        # a picture's logits hang on those beside it
        (
            "a = Constant <value = int64[1] {0}> () m = ReduceMean (scores, a) logits = Sub (scores, m)",
            Taken(one_at_a_time=True),
        ),
        ("a = Constant <value = int64[1] {0}> () logits = ReduceMean (scores, a)", Taken(one_at_a_time=True)),
    ],
    ids=["a dense layer", "a dense layer of one image", "others taken into account", "the mean of all"],
)
def test_sizes_and_batches_that_a_graph_does_not_take_are_found_out(body, taken):
    assert check(body, **NO_LAYERS) == taken


def test_what_was_found_out_is_noted_on_the_card():
    card = ModelCard.model_validate(CARD | {"sha256": "0" * 64, "serving": {"max_queue": 7}})
    noted = Taken(fixed=True, one_at_a_time=True).noted_on(card)
    assert noted.input.fixed and noted.serving.max_batch_size == 1 and noted.serving.max_queue == 7
    assert ANY.noted_on(card) == card


class Alone:
    """A model that takes one image."""

    device, concurrent_runs, kernels = "cpu", 2, None

    def logits(self, images):
        (image,) = images
        return image.reshape(1, -1).astype(np.float32)

    def layers(self, images, names):
        return {name: self.logits(images) for name in ["logits", *names]}


def test_a_batch_is_run_image_by_image_where_the_network_takes_one():
    images = np.arange(12, dtype=np.uint8).reshape(3, 2, 2, 1)
    model = OneAtATime(Alone())
    assert model.logits(images).tolist() == images.reshape(3, 4).tolist()
    assert model.layers(images, ["a"])["a"].tolist() == images.reshape(3, 4).tolist()
    assert (model.device, model.concurrent_runs) == ("cpu", 2)
