"""An exported file in torch says what it says elsewhere, and has the gradients of the network it was made from."""

import numpy as np
import onnx
import pytest
import torch

from models.cards.catalogue import bundled_repository, entries, find
from models.onnx.as_torch import TorchGraph
from models.runtime.load import load_model
from models.training.runs import load_network
from scs.errors import ModelError

BUNDLED = [entry.name for entry in entries(bundled_repository())]


def noise(card, count=8):
    """Pictures without two equal pixels beside each other, so that max-abs pooling has no ties to break."""
    size = (count, card.input.height, card.input.width, card.input.channels)
    return np.random.default_rng(0).integers(0, 256, size, np.uint8)


@pytest.mark.parametrize("name", BUNDLED)
def test_logits_of_the_bundled_files_are_the_runtimes(name):
    entry = find(bundled_repository(), name)
    content, card = entry.verified_bytes(), entry.card()
    images = noise(card)
    graph, model = TorchGraph(content), load_model(content, card, "cpu")
    assert graph(torch.from_numpy(images)).numpy() == pytest.approx(model.logits(images), abs=1e-4)


def test_logits_of_a_file_that_blurs_are_the_runtimes(blurred_repository):
    entry = find(blurred_repository, "shapes-scs")
    content, card = entry.verified_bytes(), entry.card()
    images = noise(card)
    graph, model = TorchGraph(content), load_model(content, card, "cpu")
    assert graph(torch.from_numpy(images)).detach().numpy() == pytest.approx(model.logits(images), abs=1e-4)


@pytest.mark.parametrize("family", ["scs", "conv"])
def test_gradients_are_those_of_the_network(family, repository, runs):
    entry = find(repository, f"shapes-{family}")
    card = entry.card()
    network, _ = load_network(runs[family][card.training.seed])
    gradients = []
    for model in (network, TorchGraph(entry.verified_bytes())):
        images = torch.from_numpy(noise(card)).float().requires_grad_()
        model(images).square().sum().backward()
        gradients.append(images.grad)
    assert gradients[0].abs().max() > 0
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-5 * gradients[0].abs().max().item())


def test_an_operation_without_gradients_is_told():
    graph = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["": 20]> g (uint8[n, h, w, c] image) => (float[n, c] logits) '
        "{ r = Round (image) logits = Identity (r) }"
    )
    with pytest.raises(ModelError, match="gradients are known of .*Conv.*; the file has a Round"):
        TorchGraph(graph.SerializeToString())


@pytest.mark.parametrize("name", BUNDLED)
def test_every_layer_is_the_runtimes(name):
    entry = find(bundled_repository(), name)
    content, card = entry.verified_bytes(), entry.card()
    images = noise(card, 2)
    graph, model = TorchGraph(content), load_model(content, card, "cpu")
    maps = model.layers(images, [layer.name for layer in card.layers])
    for layer in card.layers:
        ours = graph.tensor(layer.tensor, torch.from_numpy(images)).numpy()
        assert ours == pytest.approx(maps[layer.name], abs=1e-4 * float(np.abs(ours).max()))
