"""What a layer of sharpened cosine similarity costs beside a convolution of its shape, and a network beside its twin.

Each section is a function. Times are of ONNX Runtime, medians of blocks back to back, taken in turns; ratios are to the
`Conv` node, or to the convolution network, of the same run. The sessions' threads do not spin: they would take the
cores of the session whose turn is next.

Prints a table and writes bench/results/layer.json; a section that is not run keeps its results.

    make native
    python bench/layer.py                   # everything
    python bench/layer.py layers networks   # some sections
"""

import argparse
import json
import platform
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).parent))

from timing import interleaved, recorded, show, summary

from models.cards.catalogue import bundled_repository, find
from models.onnx import native
from models.onnx.op import DOMAIN, ONNX_OPSET, SIMILARITY, attach
from models.runtime.load import usable_cores
from scs.native import instruction_set

RESULTS = Path(__file__).parent / "results" / "layer.json"
SECONDS = 4.0  # for each line of the table, all sides together
# images, channels, kernels, height and width, kernel size
SHAPES = (32, 3, 80, 32, 5), (32, 64, 64, 32, 3), (32, 128, 128, 16, 3), (1, 64, 64, 32, 3)
NETWORKS = "mnist", "cifar10"
BATCHES = 1, 64


def session(content, threads, is_native=False):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if is_native:
        native.register(options)
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def one_layer(op, shape, **window):
    """A model of one node, its kernels constant; attributes of the node may be given."""
    _, channels, kernels, _, size = shape
    random = np.random.default_rng(0)
    constants = {"w": random.normal(size=(kernels, channels // window.get("group", 1), size, size))}
    if op == SIMILARITY:
        constants |= {"p": np.linspace(1.2, 3, kernels), "q": 0.3}
    usual = {"kernel_shape": [size] * 2, "pads": [size // 2] * 4, "strides": [1, 1], "dilations": [1, 1], "group": 1}
    domain = DOMAIN if op == SIMILARITY else ""
    node = helper.make_node(op, ["x", *constants], ["y"], domain=domain, **(usual | window))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", count, "H", "W"])
        for name, count in (("x", channels), ("y", kernels))
    ]
    values = [numpy_helper.from_array(np.float32(value), name) for name, value in constants.items()]
    graph = helper.make_graph([node], "one_layer", ends[:1], ends[1:], values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", ONNX_OPSET)], ir_version=10)
    attach(model)
    return model.SerializeToString()


def threads_to_try():
    return sorted({1, usable_cores()})


def compared(sides, feeds, seconds=SECONDS):
    """Times of sessions by their name, and ratios of those to the first."""
    runs = {name: lambda each=each: each.run(None, feeds) for name, each in sides.items()}
    times = {name: summary(values) for name, values in interleaved(runs, seconds).items()}
    base = next(iter(times.values()))["median_ms"]
    return {name: {**side, "ratio": round(side["median_ms"] / base, 3)} for name, side in times.items()}


def report(words, sides):
    print(f"{words:44}", *(f"{name} {side['ratio']:.2f}: {show(side)}" for name, side in sides.items()), sep="  ")


def layers():
    """One node: Conv, the op by native kernels and by the functions in the file."""
    lines = []
    for threads in threads_to_try():
        for shape in SHAPES:
            images, channels, _, side, _ = shape
            scs = one_layer(SIMILARITY, shape)
            sides = {"conv": session(one_layer("Conv", shape), threads), "native": session(scs, threads, True)}
            x = np.random.default_rng(1).normal(size=(images, channels, side, side)).astype(np.float32)
            found = compared(sides | {"portable": session(scs, threads)}, {"x": x})
            report(f"layer {shape}, {threads} threads", found)
            lines.append({"shape": shape, "threads": threads, "sides": recorded(found)})
    return lines


def networks():
    """The bundled networks as the service runs them, and the same without the library."""
    lines = []
    for threads in threads_to_try():
        for name in NETWORKS:
            entries = {family: find(bundled_repository(), f"{name}-{family}") for family in ("conv", "scs")}
            files = {family: entry.verified_bytes() for family, entry in entries.items()}
            joined = native.joined(onnx.load_from_string(files["scs"])).SerializeToString()
            sides = {
                "conv": session(files["conv"], threads),
                "native": session(joined, threads, True),
                "portable": session(files["scs"], threads),
            }
            size = entries["scs"].card().input
            for batch in BATCHES:
                shape = (batch, size.height, size.width, size.channels)
                found = compared(sides, {"image": np.random.default_rng(1).integers(0, 256, shape, np.uint8)})
                report(f"{name}, batch {batch}, {threads} threads", found)
                lines.append({"name": name, "batch": batch, "threads": threads, "sides": recorded(found)})
    return lines


SECTIONS = {section.__name__: section for section in (layers, networks)}


def versions():
    made = {"python": platform.python_version(), "numpy": np.__version__, "onnxruntime": ort.__version__}
    return made | {"native": instruction_set(native.library()), "processor": processor(), "cores": usable_cores()}


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)}; all unless given")
    wanted = parser.parse_args().sections or list(SECTIONS)
    if unknown := set(wanted) - SECTIONS.keys():
        parser.error(f"a section is one of {', '.join(SECTIONS)}; {', '.join(sorted(unknown))} came")
    if not native.available():
        raise SystemExit("the native kernels are needed: run `make native`")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results["versions"] = versions()
    for name in wanted:
        found = SECTIONS[name]()
        if found is not None:
            results[name] = found
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
