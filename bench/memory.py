"""Resident memory of a service that serves one large model, as a multiple of the model's file.

Two networks of some 200 MB, random weights, are made in a temporary folder: one of 3x3 convolutions, one of dense
layers on every pixel's features, as a transformer has them. For each a service is started, asked by `/predict` twenty
times, then by `/activations` five times with one layer. Noted is what all of its processes hold together (proportional
set size), less what the same service holds with the same network made small; and the milliseconds of a request.

Prints a table and writes bench/results/memory.json. `--before FOLDER` measures another checkout, with its own venv.

    python bench/memory.py
    python bench/memory.py --before ../before
"""

import argparse
import hashlib
import io
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from contenders import ROOT
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from servers import Call, Server
from skimage import data

from models.cards.card import ModelCard

RESULTS = Path(__file__).parent / "results" / "memory.json"
PORT = 9400
MIB = 2**20
SIZE = 64  # pixels on a side
NETWORKS = {"convolutions": (21, 512), "dense layers": (12, 2048)}  # layers, and units of each
PREDICTIONS, HEATMAPS = 20, 5


def network(kind, layers, units):
    """An ONNX model of layers with so many units each, the middle one shown by `/activations`."""
    random = np.random.default_rng(0)
    weights, nodes = [], []

    def constant(name, values):
        weights.append(numpy_helper.from_array(values, name))
        return name

    def he(*shape, inputs):
        return (random.standard_normal(shape, np.float32) * np.sqrt(2 / inputs)).astype(np.float32)

    def node(operation, *inputs, output=None, **attributes):
        name = output or f"{operation.lower()}{len(nodes)}"
        nodes.append(helper.make_node(operation, list(inputs), [name], **attributes))
        return name

    x = node("Cast", "image", to=TensorProto.FLOAT)
    convolves = kind == "convolutions"
    if convolves:
        x = node("Transpose", x, perm=[0, 3, 1, 2])
        first = constant("first", he(units, 3, 7, 7, inputs=147))
        x = node("Conv", x, first, strides=[4, 4], pads=[3, 3, 3, 3])
    else:
        x = node("AveragePool", node("Transpose", x, perm=[0, 3, 1, 2]), kernel_shape=[4, 4], strides=[4, 4])
        x = node("MatMul", node("Transpose", x, perm=[0, 2, 3, 1]), constant("first", he(3, units, inputs=3)))
    for layer in range(layers):
        if convolves:
            x = node("Conv", x, constant(f"w{layer}", he(units, units, 3, 3, inputs=9 * units)), pads=[1, 1, 1, 1])
        else:
            x = node("MatMul", x, constant(f"w{layer}", he(units, units, inputs=units)))
        x = node("Relu", x)
        if layer == layers // 2 and convolves:
            node("Identity", x, output="middle")
        elif layer == layers // 2:
            node("Transpose", x, output="middle", perm=[0, 3, 1, 2])
    if not convolves:
        x = node("Transpose", x, perm=[0, 3, 1, 2])
    x = node("Flatten", node("GlobalAveragePool", x))
    node("MatMul", x, constant("last", he(units, 10, inputs=units)), output="logits")
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "H", "W", 3])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])
    graph = helper.make_graph(nodes, "large", [image], [logits], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def put(repository, kind, layers, units):
    """Write version 1 of the model `large`; the bytes of its file."""
    content = network(kind, layers, units).SerializeToString()
    card = {
        "name": "large",
        "version": 1,
        "description": f"{layers} {kind} of {units} units, random weights",
        "format": "onnx",
        "sha256": hashlib.sha256(content).hexdigest(),
        "family": "none",
        "parameters": len(content) // 4,
        "input": {"width": SIZE, "height": SIZE, "channels": 3, "smallest": 8},
        "labels": [*"abcdefghij"],
        "layers": [
            {
                "name": "middle",
                "tensor": "middle",
                "channels": units,
                "receptive_field": {"size": SIZE, "stride": 4, "offset": -SIZE // 2},
                "signed": False,
            }
        ],
    }
    folder = repository / "large" / "1"
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(content)
    (folder / "card.json").write_text(ModelCard.model_validate(card).model_dump_json(exclude_unset=True))
    return len(content)


def picture(number):
    """One of many pictures: the features of one that was asked about before are kept."""
    stream = io.BytesIO()
    moved = np.roll(data.chelsea(), number, axis=1)
    Image.fromarray(moved).resize((SIZE, SIZE)).save(stream, "PNG")
    return stream.getvalue()


def settled(server):
    """MiB that the service holds once that has not changed for a while: workers are made ready after the start."""
    held = [server.held_mib()]
    while len(held) < 5 or max(held[-5:]) - min(held[-5:]) > 1:
        time.sleep(1)
        held.append(server.held_mib())
    return held[-1]


def measure(checkout, repository):
    """MiB that the service holds after `/predict` and after `/activations`, and milliseconds of each."""
    environment = {
        "SCS_DEVICE": "cpu",
        "SCS_HOST": "127.0.0.1",
        "SCS_MODEL_REPOSITORY": repository,
        "SCS_DEFAULT_MODEL": "large",
        "PYTHONPATH": checkout,
    }
    command = [checkout / ".venv/bin/python", "-m", "service.cli", "serve", "--port", PORT]
    server = Server("service", command, PORT, environment, checkout)
    server.start(repository / "log")
    calls = {
        "predict": ("/predict", PREDICTIONS),
        "activations": ("/activations?layers=middle&channels=top4", HEATMAPS),
    }
    found = {}
    try:
        for name, (path, count) in calls.items():
            server.wait_for(Call(path, picture(0), "image/png"))
            times = []
            for number in range(count):
                call = Call(path, picture(number + 1), "image/png")
                started = time.perf_counter()
                assert call.send(PORT)[0] == 200
                times.append(1000 * (time.perf_counter() - started))
            found[name] = {"held_mib": settled(server), "median_ms": round(statistics.median(times), 1)}
    finally:
        server.stop()
    return found


def compared(checkout, kind, layers, units):
    """What the large network takes beyond the small one, as a multiple of its file."""
    with tempfile.TemporaryDirectory() as large, tempfile.TemporaryDirectory() as small:
        size = put(Path(large), kind, layers, units) / MIB
        put(Path(small), kind, 2, 8)
        base, held = measure(checkout, Path(small)), measure(checkout, Path(large))
    return {
        "file_mib": round(size, 1),
        **{
            name: {
                "more_mib": round(each["held_mib"] - base[name]["held_mib"], 1),
                "of_the_file": round((each["held_mib"] - base[name]["held_mib"]) / size, 2),
                "median_ms": each["median_ms"],
            }
            for name, each in held.items()
        },
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--before", type=Path, help="another checkout")
    options = parser.parse_args()
    checkouts = ({"before": options.before.resolve()} if options.before else {}) | {"now": ROOT}
    results = {kind: {} for kind in NETWORKS}
    print("| network | checkout | file | /predict holds | ms | /activations holds | ms |\n|" + " --- |" * 7)
    for kind, (layers, units) in NETWORKS.items():
        for name, checkout in checkouts.items():
            found = results[kind][name] = compared(checkout, kind, layers, units)
            shown = " | ".join(
                f"{found[each]['of_the_file']:.2f} files | {found[each]['median_ms']:.0f}"
                for each in ("predict", "activations")
            )
            print(f"| {kind} | {name} | {found['file_mib']:.0f} MiB | {shown} |", flush=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
