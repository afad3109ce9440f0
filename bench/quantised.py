"""What the bundled networks gain and lose by products in whole numbers of 8 bits, beside their float files.

Products (Conv) take weights of 8 bits, a scale for each kernel, and maps of 8 bits, whose ranges are found on training
images; pooling and ReLU between two of them stay in 8 bits. Energies and the sharpening stay in float. Of the ways to
find the ranges, the one is taken that most often names the class that the float file names, on other training images:
the test images are only measured. Times are one thread's, interleaved: the files as any runtime runs them (portable),
and those with SCS layers also with the library that `make native` builds.

Prints as it goes and writes bench/results/quantised.json; docs/tables makes a table of it.

    python bench/quantised.py --data ~/data                    # everything
    python bench/quantised.py --data ~/data --keep-accuracy    # all but the times as recorded, on an idle machine
"""

import argparse
import contextlib
import io
import json
import logging
import os
import platform
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import onnxruntime as ort
from onnx import helper, inliner, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static
from onnxscript import optimizer

sys.path.insert(0, str(Path(__file__).parent))

from timing import interleaved, show, summary

from models.cards.catalogue import bundled_repository, entries, find
from models.datasets.dataset import data_folder, load_dataset
from models.evaluation.accuracy import wilson_interval
from models.onnx import native
from models.onnx.op import DOMAIN, SIMILARITY

RESULTS = Path(__file__).parent / "results" / "quantised.json"
CALIBRATED_ON, CHOSEN_ON = 256, 2000  # training images
SCOPES = "every product", "but the first and the last"
METHODS = "MinMax", "Percentile"  # "Entropy" has as many bins as levels here, and finds the ranges of "MinMax"
BATCHES = {1: 2, 64: 8}  # images at once: seconds of measuring
AT_ONCE = 100


class Batches(CalibrationDataReader):
    def __init__(self, images):
        self.left = iter([{"image": images[i : i + 32]} for i in range(0, len(images), 32)])

    def get_next(self):
        return next(self.left, None)


def opened(content):
    """The graph with a Conv node for each product, kernels of SCS layers already divided by their norm.

    Only the op itself is replaced by its definition. The functions it is made of stay, and with them the native
    kernels of these; the faster one of the whole op is lost.
    """
    model = onnx.load_from_string(content)
    normalise_at_once(model.graph)
    if any(node.domain == DOMAIN for node in model.graph.node):
        model = inliner.inline_selected_functions(model, [(DOMAIN, SIMILARITY)])
    graph = onnx_ir.from_proto(model)
    optimizer.fold_constants(graph, input_size_limit=2**31, output_size_limit=2**31)
    optimizer.remove_unused_nodes(graph)
    return onnx_ir.to_proto(graph)


def normalise_at_once(graph):
    """Scale and shift pixels by one node.

    Convolutions of 8 bits are channels-last, and the runtime moves their transposition up through a Mul and an Add,
    which broadcast three numbers at a time then and take as long as all convolutions together.
    """
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    (cast,) = (node for node in graph.node if node.op_type == "Cast")
    (scale,) = (node for node in graph.node if cast.output[0] in node.input)
    (shift,) = (node for node in graph.node if scale.output[0] in node.input)
    assert (scale.op_type, shift.op_type) == ("Mul", "Add")
    values = {"scale": constants[scale.input[1]].ravel(), "shift": constants[shift.input[1]].ravel()}
    values |= {"mean": 0 * values["scale"], "variance": 0 * values["scale"] + 1}
    graph.initializer.extend(numpy_helper.from_array(each, f"pixels/{name}") for name, each in values.items())
    inputs = [cast.output[0], *(f"pixels/{name}" for name in values)]
    at = list(graph.node).index(scale)
    normalised = helper.make_node("BatchNormalization", inputs, [shift.output[0]], "pixels", epsilon=0.0)
    graph.node.remove(shift)
    graph.node.remove(scale)
    graph.node.insert(at, normalised)


def quantised(model, images, scope, method):
    products = [node.name for node in model.graph.node if node.op_type == "Conv"]
    copied = onnx.ModelProto()  # what is handed over is changed
    copied.CopyFrom(model)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):  # the quantiser prints
        path = Path(folder) / "model.onnx"
        quantize_static(
            copied,
            path,
            Batches(images),
            op_types_to_quantize=["Conv", "Relu", "MaxPool"],
            nodes_to_exclude=[] if scope == SCOPES[0] else [products[0], products[-1]],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod[method],
        )
        return path.read_bytes()


def session(content, by_library=False):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if by_library:
        native.register(options)
        content = native.joined(onnx.load_from_string(content)).SerializeToString()
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def logits(content, images):
    model = session(content)
    parts = [images[i : i + AT_ONCE] for i in range(0, len(images), AT_ONCE)]
    return np.concatenate([model.run(["logits"], {"image": part})[0] for part in parts])


def share_of(right):
    low, high = wilson_interval(int(right.sum()), len(right))
    return {"share": round(float(right.mean()), 5), "interval_95": [round(low, 4), round(high, 4)]}


def tried(opened_model, dataset, drawn, by_float):
    """Each way to find the ranges, and how often it names the class that the float file names."""
    calibrating, others = drawn
    rows = []
    for scope in SCOPES:
        for method in METHODS:
            content = quantised(opened_model, dataset.train_images[calibrating], scope, method)
            named = logits(content, dataset.train_images[others]).argmax(1)
            rows.append({"scope": scope, "method": method, "same": round(float((named == by_float).mean()), 5)})
            print("  ", rows[-1], flush=True)
    return rows


def measured(entry, content, dataset, images):
    """Sizes and accuracies of one model."""
    drawn = draw(dataset)
    model = opened(content)
    by_float = logits(content, dataset.train_images[drawn[1]]).argmax(1)
    rows = tried(model, dataset, drawn, by_float)
    named = logits(content, dataset.test_images[:images]).argmax(1)
    labels = dataset.test_labels[:images]
    variants = []
    for scope in SCOPES:
        best = max((row for row in rows if row["scope"] == scope), key=lambda row: row["same"])
        made = quantised(model, dataset.train_images[drawn[0]], scope, best["method"])
        by_int8 = logits(made, dataset.test_images[:images]).argmax(1)
        variants.append(
            {
                "scope": scope,
                "method": best["method"],
                "bytes": len(made),
                "accuracy": share_of(by_int8 == labels),
                "same_class_as_float": round(float((by_int8 == named).mean()), 5),
            }
        )
    card = entry.card()
    return {
        "model": card.name,
        "version": card.version,
        "parameters": card.parameters,
        "note": card.accuracy.note,
        "test_images": len(named),
        "float": {"bytes": len(content), "accuracy": share_of(named == labels)},
        "ways": rows,
        "int8": variants,
    }


def draw(dataset):
    """Indices of training images: to calibrate on, and to choose on."""
    order = np.random.default_rng(0).permutation(len(dataset.train_images))
    return order[:CALIBRATED_ON], order[CALIBRATED_ON : CALIBRATED_ON + CHOSEN_ON]


def timed(found, content, dataset):
    """Times of a model's files, each variant's as a ratio to the float file on the same kernels."""
    model, images = opened(content), dataset.train_images[draw(dataset)[0]]
    kernels = ["portable", *["native"] * native.calls_op(onnx.load_from_string(content))]
    if "native" in kernels and not native.available():
        raise SystemExit("the times need the native kernels: run make native")
    files = {"float": content}
    for variant in found["int8"]:
        files[variant["scope"]] = quantised(model, images, variant["scope"], variant["method"])
        variant["time"] = {kernel: {} for kernel in kernels}
    sessions = {(name, kernel): session(file, kernel == "native") for name, file in files.items() for kernel in kernels}
    for batch, seconds in BATCHES.items():
        feed = {"image": dataset.test_images[:batch]}
        runs = {key: partial(made.run, ["logits"], feed) for key, made in sessions.items()}
        sides = {key: summary(times) for key, times in interleaved(runs, seconds).items()}
        for variant in found["int8"]:
            for kernel in kernels:
                own, floats = sides[variant["scope"], kernel], sides["float", kernel]
                ratio = round(own["median_ms"] / floats["median_ms"], 3)
                variant["time"][kernel][str(batch)] = {"ratio": ratio, "int8": own, "float": floats}
                shown = f"{found['model']}, {variant['scope']}, {kernel}, {batch} at once"
                print(f"{shown}: {show(own)} by {show(floats)} ms, {ratio:.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the data sets' .npz files; SCS_DATA unless given")
    parser.add_argument("--repository", type=Path, default=bundled_repository(), help="folder of models")
    parser.add_argument("--images", type=int, help="no more test images than these, while trying things out")
    parser.add_argument("--keep-accuracy", action="store_true", help="measure the times again, and nothing else")
    arguments = parser.parse_args()
    logging.getLogger().setLevel(logging.ERROR)  # the quantiser recommends a step of which ours does what is needed
    results = {
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "instructions": instructions(),
        "versions": {"onnxruntime": ort.__version__, "onnx": onnx.__version__, "python": platform.python_version()},
        "calibrated_on": CALIBRATED_ON,
        "chosen_on": CHOSEN_ON,
        "models": [],
    }
    known = json.loads(RESULTS.read_text())["models"] if arguments.keep_accuracy else []
    for name in dict.fromkeys(entry.name for entry in entries(arguments.repository)):
        entry = find(arguments.repository, name)
        content, card = entry.verified_bytes(), entry.card()
        dataset = load_dataset(card.accuracy.dataset, data_folder(arguments.data))
        print(f"{name} {card.version}", flush=True)
        kept = [each for each in known if (each["model"], each["version"]) == (name, card.version)]
        found = kept[0] if kept else measured(entry, content, dataset, arguments.images)
        timed(found, content, dataset)
        results["models"].append(found)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


def instructions():
    """What of the processor's instructions decides how fast products of 8 bits are."""
    path = Path("/proc/cpuinfo")
    flags = set(path.read_text().split()) if path.exists() else set()
    return sorted(flags & {"avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8"})


if __name__ == "__main__":
    main()
