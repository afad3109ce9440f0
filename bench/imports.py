"""What ``scs import`` finds in networks as people export them: a row for each, agreement and class map included.

Writes bench/results/imports.json. Needs scs-serve[train]; a network whose package is missing says so and is left out:
scs-serve[models] for EfficientNet-Lite0, torchvision and timm for their networks with random weights, scikit-learn and
skl2onnx for the digits, rapidocr-onnxruntime and nudenet for their files.

    python bench/imports.py
"""

import importlib.util
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

import scs
from models.imports.importing import import_network
from models.imports.original import Original, read_original
from models.imports.sources import open_source
from models.imports.torch_sources import export_whole
from models.imports.wish import Wish
from scs.errors import ScsError

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.models.imports.networks import Residual, Transformer, export, in_front, seeded

RESULTS = Path(__file__).parent / "results" / "imports.json"
FIVE = Wish(labels=[f"class {i}" for i in range(5)], preprocess="0-1")


@dataclass
class Row:
    network: str
    size: str
    batch: str
    layers: int
    everywhere: int
    class_map: str
    difference: float
    same_class: bool | None
    milliseconds: float
    seconds: float


def package(name):
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"needs {name}")
    return Path(spec.submodule_search_locations[0])


def channels_last(folder):
    path = export(seeded(Residual), folder / "keras.onnx", opset_version=13)
    model = onnx.load(path)
    turned = helper.make_node("Transpose", ["picture"], [model.graph.input[0].name], perm=[0, 3, 1, 2])
    value = helper.make_tensor_value_info("picture", TensorProto.FLOAT, ("unk", 32, 32, 3))
    onnx.save(in_front(model, [turned], value), path)
    return read_original(path)


def quantised(folder):
    path = export(seeded(Residual), folder / "plain.onnx", opset_version=13)
    name = onnx.load(path).graph.input[0].name

    class Pictures(CalibrationDataReader):
        left = [{name: torch.rand(1, 3, 32, 32).numpy()} for _ in range(4)]

        def get_next(self):
            return self.left.pop() if self.left else None

    quantize_static(str(path), str(folder / "qdq.onnx"), Pictures(), quant_format=QuantFormat.QDQ)
    return read_original(folder / "qdq.onnx")


def torchvision_models():
    """torchvision's networks, also beside a torch that its operators are not built for: no classifier needs those."""
    try:
        return importlib.import_module("torchvision.models")
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        KEPT.append(library)
        return importlib.import_module("torchvision.models")


KEPT = []  # a library's operators go with it


def of_timm(name):
    def made(folder):
        torchvision_models()
        timm = importlib.import_module("timm")
        return export_whole(timm.create_model(name, pretrained=False), name, (224, 224))

    return made


def with_scs_layers(folder):
    torch.manual_seed(0)
    layers = [scs.SharpenedCosineSimilarity2d(3, 16, 3, padding=1), scs.SharpenedCosineSimilarity2d(16, 32, 3)]
    head = [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(32, 5)]
    return export_whole(torch.nn.Sequential(*layers, *head), "scs", (32, 32))


def digits(folder):
    """Logistic regression on the 64 pixels of scikit-learn's digits, written by skl2onnx."""
    data, linear, skl2onnx = map(importlib.import_module, ("sklearn.datasets", "sklearn.linear_model", "skl2onnx"))
    pixels, labels = data.load_digits(return_X_y=True)
    model = linear.LogisticRegression(max_iter=200).fit(pixels.astype("float32"), labels)
    onnx.save(skl2onnx.to_onnx(model, pixels[:1].astype("float32")), folder / "digits.onnx")
    return read_original(folder / "digits.onnx")


def of_torchvision(name, dynamo):
    def made(folder):
        models = torchvision_models()
        return read_original(export(models.get_model(name).eval(), folder / f"{name}.onnx", side=224, dynamo=dynamo))

    return made


def small(make, **options):
    return lambda folder: read_original(export(seeded(make), folder / "net.onnx", **options))


THOUSAND = Wish(labels=[str(i) for i in range(1000)], preprocess="imagenet")
NETWORKS = {
    "EfficientNet-Lite0": (lambda folder: open_source("efficientnet-lite0"), Wish()),
    **{
        f"{name}, {'newer' if dynamo else 'older'} exporter": (of_torchvision(name, dynamo), THOUSAND)
        for name in ("resnet18", "mobilenet_v3_small")
        for dynamo in (False, True)
    },
    "ViT-Tiny (timm), newer exporter": (of_timm("vit_tiny_patch16_224"), THOUSAND),
    "SCS layers of a user's own": (with_scs_layers, FIVE),
    "digits (scikit-learn)": (digits, Wish(labels=[*"0123456789"], preprocess="scale=1/16", size=(8, 8))),
    "residual, older exporter, batch 4": (small(Residual, batch=4), FIVE),
    "residual, newer exporter": (small(Residual, dynamo=True), FIVE),
    "residual, operator set 9": (small(Residual, opset_version=9), FIVE),
    "residual, channels last (Keras)": (channels_last, FIVE),
    "residual, quantised (QDQ)": (quantised, FIVE),
    "residual, without labels": (small(Residual), Wish(preprocess="0-1")),
    "transformer": (small(Transformer), FIVE),
    "SqueezeNet (onnx), weights without a meaning": (
        lambda folder: read_original(package("onnx") / "backend/test/data/light/light_squeezenet.onnx"),
        Wish(preprocess="imagenet"),
    ),
    "PP-OCR's direction": (
        lambda folder: read_original(
            package("rapidocr_onnxruntime") / "models" / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
        ),
        Wish(labels=["0", "180"], preprocess="tf", size=(192, 48)),
    ),
    "PP-OCR's detector, without labels": (
        lambda folder: read_original(package("rapidocr_onnxruntime") / "models" / "ch_PP-OCRv4_det_infer.onnx"),
        Wish(preprocess="imagenet", size=(320, 320)),
    ),
    "NudeNet's detector": (lambda folder: read_original(package("nudenet") / "320n.onnx"), Wish()),
}


def row(name: str, original: Original, wish: Wish) -> Row:
    started = time.perf_counter()
    found = import_network(original, wish, "net", 1)
    seconds = time.perf_counter() - started
    by = {finding.what: finding.found for finding in found.report.findings}
    layers, report = found.card.layers, found.report
    everywhere = sum(layer.receptive_field.everywhere for layer in layers)
    return Row(
        name, by["size"], by["batch"], len(layers), everywhere, report.class_map, report.difference,
        report.same_top_class, round(report.milliseconds, 1), round(seconds, 1),
    )  # fmt: skip


def main():
    rows = []
    for name, (make, wish) in NETWORKS.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                rows.append(row(name, make(Path(folder)), wish))
            except (ImportError, RuntimeError) as error:
                print(f"{name}: left out, {error}")
                continue
            except ScsError as error:
                print(f"{name}: refused: {error}")
                continue
        last = rows[-1]
        print(
            f"{name}: {last.size}; batch {last.batch}; {last.layers} layers, {last.everywhere} everywhere; class map "
            f"{last.class_map}; {last.difference:.1e} off, same class {last.same_class}; {last.milliseconds} ms a "
            f"picture, imported in {last.seconds} s"
        )
    RESULTS.write_text(json.dumps([vars(each) for each in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
