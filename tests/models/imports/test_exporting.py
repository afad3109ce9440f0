import pytest
import torch
from torch import nn

import scs
from models.imports.importing import import_network
from models.imports.original import read_original
from models.imports.wish import Wish
from models.onnx.op import SIMILARITY
from models.runtime.load import load_model
from scs.errors import OptionError


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
