import onnxruntime as ort
import pytest
import torch
from torch import nn

import scs
from models.imports.importing import import_network
from models.imports.original import read_original
from models.imports.wish import Wish
from models.onnx.op import SIMILARITY
from models.runtime.load import load_model
from scs.errors import ExportError, OptionError
from scs.nn.layers import SharpenedCosineSimilarity1d, SharpenedCosineSimilarity2d, SharpenedCosineSimilarity3d


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = scs.SharpenedCosineSimilarity2d(3, 8, 3, padding=1)
        self.pool = scs.MaxAbsPool2d(2, 2)
        self.body = nn.ModuleList([scs.SharpenedCosineSimilarity2d(8, 8, 3) for _ in range(2)])
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.stem(x))
        for layer in self.body:
            x = layer(x)
        return self.head(x.mean((2, 3)))


def test_scs_layers_stay_the_op_and_the_file_says_the_rest(tmp_path):
    torch.manual_seed(0)
    network, images = Network().eval(), torch.randint(0, 256, (3, 16, 16, 3), dtype=torch.uint8)
    file = tmp_path / "net.onnx"
    scs.export(network, file, example=torch.zeros(1, 3, 16, 16), labels=["a", "b", "c"], preprocess="0-1")
    found = import_network(read_original(file), Wish(), "net", 1)
    assert found.content.count(SIMILARITY.encode()) >= 3
    assert (found.card.labels, found.report.class_map) == (["a", "b", "c"], "exact")
    with torch.no_grad():
        expected = network(images.permute(0, 3, 1, 2) / 255)
    came = torch.from_numpy(load_model(found.content, found.card, "cpu").logits(images.numpy()))
    torch.testing.assert_close(came, expected, atol=1e-4, rtol=0)


def test_an_example_that_is_no_picture_is_refused(tmp_path):
    with pytest.raises(OptionError, match=r"float tensor \(N, C, H, W\)"):
        scs.export(Network(), tmp_path / "net.onnx", example=torch.zeros(3, 16, 16))


class OfAxes(nn.Module):
    """Pictures as signals, row after row, or as volumes of one channel."""

    def __init__(self, axes: int, **options: object) -> None:
        super().__init__()
        kinds = {1: SharpenedCosineSimilarity1d, 2: SharpenedCosineSimilarity2d, 3: SharpenedCosineSimilarity3d}
        self.axes = axes
        self.layer = kinds[axes](1 if axes == 3 else 3, 6, 3, padding=1, gain=True, **options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = {1: x.flatten(2), 2: x, 3: x.unsqueeze(1)}[self.axes]
        return self.layer(x).flatten(2).mean(2)


@pytest.mark.parametrize(
    ("axes", "options"), [(1, {}), (1, {"groups": 3, "padding_mode": "reflect"}), (3, {"dilation": 1, "bias": True})]
)
def test_layers_of_one_and_three_axes_are_exported_as_standard_operators(axes, options, tmp_path):
    torch.manual_seed(0)
    network = OfAxes(axes, **options).eval()
    scs.export(network, tmp_path / "net.onnx", example=torch.zeros(1, 3, 8, 8))
    session = ort.InferenceSession(str(tmp_path / "net.onnx"))
    images = torch.randn(5, 3, 8, 8)
    for scale in (1, 1e19):
        (came,) = session.run(None, {"picture": (scale * images).numpy()})
        torch.testing.assert_close(torch.from_numpy(came), network(scale * images).detach(), atol=2e-6, rtol=0)


@pytest.mark.parametrize("options", [{"groups": 3}, {"padding_mode": "reflect"}])
def test_a_layer_that_is_not_the_op_is_refused_in_a_sentence(options, tmp_path):
    with pytest.raises(ExportError, match="one group or depthwise layers, padded with zeros"):
        scs.export(OfAxes(2, **options), tmp_path / "net.onnx", example=torch.zeros(1, 3, 8, 8))
    assert not (tmp_path / "net.onnx").exists()
