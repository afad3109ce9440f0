"""A classifier on which batching pays: a small convolutional trunk under VGG's head, two layers of 4096 units.

Its 19 million weights are read once a run, whatever the number of images: one image alone waits for memory. The weights
are random, for speed does not depend on them; it is made anew where it is needed, 76 MB, rather than kept.
"""

import hashlib
import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.cards.card import ModelCard, write_card

NAME = "wide"
TRUNK = (32, 64, 128, 256)
HEAD = (4096, 4096)
LABELS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def write(repository):
    """Write ``wide/1/`` below a folder; the path of the ONNX file."""
    folder = repository / NAME / "1"
    folder.mkdir(parents=True)
    model = folder / "model.onnx"
    graph, parameters = network()
    model.write_bytes(graph.SerializeToString())
    card = {
        "name": NAME,
        "version": 1,
        "description": "A small trunk under VGG's head, random weights.",
        "format": "onnx",
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "family": "conv",
        "parameters": parameters,
        "input": {"width": 32, "height": 32, "channels": 3, "smallest": 8},
        "labels": LABELS,
        "layers": [],
    }
    write_card(ModelCard.model_validate_json(json.dumps(card)), folder / "card.json")
    return model


def network():
    """The graph, and how many parameters it has."""
    random = np.random.default_rng(0)
    weights, nodes = [], []

    def constant(name, values):
        weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def he(*shape):  # keeps the size of activations from layer to layer
        return random.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)

    def node(kind, *inputs, **attributes):
        name = f"{kind.lower()}{len(nodes)}"
        nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    x = node("Transpose", node("Cast", "image", to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
    x = node("Mul", node("Sub", x, constant("mean", np.array(120.0))), constant("scale", np.array(1 / 60)))
    before = 3
    for stage, width in enumerate(TRUNK):
        x = node("Conv", x, constant(f"trunk{stage}", he(width, before, 3, 3)), pads=[1, 1, 1, 1])
        x = node("Relu", x)
        if stage < len(TRUNK) - 1:
            x = node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
        before = width
    x = node("Flatten", node("GlobalAveragePool", x))
    for layer, width in enumerate(HEAD):
        x = node("Gemm", x, constant(f"head{layer}", he(width, before)), transB=1)
        x = node("Relu", x)
        before = width
    nodes.append(helper.make_node("Gemm", [x, constant("out", he(len(LABELS), before))], ["logits"], transB=1))
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "H", "W", 3])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(LABELS)])
    graph = helper.make_graph(nodes, NAME, [image], [logits], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return model, sum(int(np.prod(weight.dims)) for weight in weights)
