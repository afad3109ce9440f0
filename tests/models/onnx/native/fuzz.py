"""Run the native ops on layers that make sense and on others that do not: ``python fuzz.py LIBRARY SEED LAYERS``.

What comes of each is an answer or an exception; a fault of memory or of arithmetic ends the process, where the library
was built to check for them.
"""

from __future__ import annotations

import faulthandler
import random
import sys

import numpy as np
import onnxruntime as ort
from onnx import ModelProto, TensorProto, helper, numpy_helper

HOSTILE = (-(2**63), -1, 0, 2, 3, 7, 64, 4096, 4097, 2**16, 2**31 - 1, 2**31, 2**32 + 1, 2**62, 2**63 - 1)
OPS = ("SharpenedCosineSimilarity", "WindowSumSquare", "WindowSquare", "Sharpen")


def draw_attributes(drawn: random.Random, channels: int, size: tuple[int, int]) -> dict[str, object]:
    """Return attributes of a layer, in half of all cases with some that make no sense."""
    attributes: dict[str, object] = {
        "kernel_shape": list(size),
        "strides": [drawn.choice((1, 1, 2, 3, 5)) for _ in range(2)],
        "dilations": [drawn.choice((1, 1, 2, 4)) for _ in range(2)],
        "pads": [drawn.choice((0, 0, 1, 2, 6)) for _ in range(4)],
    }
    if drawn.random() < 0.5:
        for name in drawn.sample(list(attributes), drawn.choice((1, 1, 2))):
            values = list(attributes[name])  # type: ignore[call-overload]
            values[drawn.randrange(len(values))] = drawn.choice(HOSTILE)
            attributes[name] = values if drawn.random() < 0.9 else values[: drawn.randrange(1, len(values))]
    return attributes


def draw_model(drawn: random.Random) -> tuple[ModelProto, dict[str, np.ndarray]]:
    """Return a model of one call, and what it is given."""
    op = drawn.choice((OPS[0], *OPS))
    group, each = drawn.choice((1, 1, 2, 5)), drawn.choice((1, 2, 9))
    channels, size = group * each, (drawn.choice((1, 2, 3, 5)), drawn.choice((1, 2, 3, 7)))
    kernels = group * drawn.choice((1, 2, 7, 13))
    shape = (drawn.choice((1, 2, 9)), channels, drawn.randrange(1, 24), drawn.choice((1, 3, 8, 21, 70, 131)))
    if drawn.random() < 0.1:
        shape = tuple(drawn.choice((each, each, 0, 1)) for each in shape)
    attributes = draw_attributes(drawn, channels, size)
    noise = np.random.default_rng(drawn.randrange(2**32))

    def values(*wanted: int) -> np.ndarray:
        if drawn.random() < 0.05:  # another shape than is right
            wanted = tuple(drawn.choice((side, 0, 1, side + 1)) for side in wanted) + (
                (1,) if drawn.random() < 0.2 else ()
            )
        made = noise.normal(size=wanted).astype(np.float32)
        return made if drawn.random() < 0.9 else made * np.float32(drawn.choice((0, np.nan, np.inf, 1e38, 1e-40)))

    given = {"x": values(*shape)}
    if op == OPS[0]:
        attributes["group"] = group if drawn.random() < 0.9 else drawn.choice(HOSTILE)
        attributes["pool"] = drawn.choice((1, 1, 2)) if drawn.random() < 0.95 else drawn.choice(HOSTILE)
        attributes["pool_by_magnitude"] = drawn.choice((0, 1))
        given |= {"w": values(kernels, each, *size), "p": values(kernels), "q": abs(values(1))}
    elif op == OPS[3]:
        attributes = {}
        energies = (shape[0], drawn.choice((1, channels)), *shape[2:])
        given |= {"energy": abs(values(*energies)), "p": values(channels), "q": abs(values(1))}
    if op in (OPS[0], OPS[3]) and drawn.random() < 0.5:
        given |= {"gain": values(len(given["p"])), "bias": values(len(given["p"]))}
    constant = {name for name in given if name != "x" and drawn.random() < 0.7}
    asked = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in given if name not in constant]
    graph = helper.make_graph(
        [helper.make_node(op, list(given), ["y"], domain="ai.scs", **attributes)],
        "drawn",
        asked,
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(given[name], name) for name in sorted(constant)],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("ai.scs", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return model, {name: value for name, value in given.items() if name not in constant}


def run(library: str, model: ModelProto, given: dict[str, np.ndarray], threads: int) -> str:
    """Run a model; return ``answered`` or the first words of why not."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.register_custom_ops_library(library)
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        session.run(None, given)
    except Exception as error:  # the runtime raises a class of its own for each cause
        return str(error)[:40]
    return "answered"


def main() -> None:
    """Draw layers and run them; print how many answered."""
    library, seed, layers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    faulthandler.enable()
    drawn, answered = random.Random(seed), 0
    for number in range(layers):
        model, given = draw_model(drawn)
        described = (
            f"{number}: {helper.printable_node(model.graph.node[0])} {[value.shape for value in given.values()]}"
        )
        print(described[:300], file=sys.stderr, flush=True)
        answered += run(library, model, given, threads=1 + number % 2) == "answered"
    print(answered)


if __name__ == "__main__":
    main()
