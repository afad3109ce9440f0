"""A picture's own light and contrast are undone in front of a network, in torch and in the file that is exported."""

import numpy as np
import onnxruntime as ort
import pytest
import torch

from models.export.export import export_runs
from models.export.onnx_file import export_onnx
from models.networks import Network
from models.normalisation import normalised
from models.training.recipes import Recipe
from models.training.runs import load_network
from models.training.train import train
from scs.errors import DataError, OptionError


def pictures(count=4, side=16, channels=3):
    return torch.from_numpy(np.random.default_rng(0).integers(0, 201, (count, side, side, channels), np.uint8))


@pytest.mark.parametrize("way", ["stretch", "standardise"])
def test_light_and_contrast_of_a_picture_leave_no_trace(way):
    x = pictures().permute(0, 3, 1, 2).double()
    torch.testing.assert_close(normalised(0.3 * x + 40, way), normalised(x, way))
    torch.testing.assert_close(normalised(x, "none"), x, rtol=0, atol=0)


def test_a_stretched_picture_reaches_from_0_to_255_and_a_standardised_one_has_mean_0_and_deviation_1():
    x = pictures().permute(0, 3, 1, 2).double()
    stretched, standardised = normalised(x, "stretch"), normalised(x, "standardise")
    assert (stretched.amin((1, 2, 3)) == 0).all()
    torch.testing.assert_close(stretched.amax((1, 2, 3)), torch.full((4,), 255.0).double())
    torch.testing.assert_close(standardised.mean((1, 2, 3)), torch.zeros(4).double())
    torch.testing.assert_close(standardised.std((1, 2, 3), correction=0), torch.ones(4).double())


@pytest.mark.parametrize("way", ["stretch", "standardise"])
def test_a_blank_picture_stays_finite_and_has_a_slope(way):
    x = torch.full((1, 1, 4, 4), 7.0, requires_grad=True)
    y = normalised(x, way)
    assert (y == 0).all()
    y.sum().backward()
    assert x.grad.isfinite().all()


def test_another_way_is_refused():
    with pytest.raises(OptionError, match="none, stretch, standardise; 'whiten' came"):
        normalised(torch.zeros(1, 1, 2, 2), "whiten")
    with pytest.raises(OptionError, match="'whiten' came"):
        Network("scs", 3, 2, (4, 4), (1,), 3, [0.5] * 3, [0.2] * 3, normalise="whiten")


def test_the_exported_graph_normalises():
    torch.manual_seed(0)
    network = Network("conv", 3, 5, (4, 4), (1,), 3, [0.5] * 3, [0.2] * 3, normalise="standardise").eval()
    images = pictures()
    session = ort.InferenceSession(export_onnx(network), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"image": images.numpy()})
    torch.testing.assert_close(torch.from_numpy(logits), network(images).detach(), rtol=1e-4, atol=1e-4)
    (shifted,) = session.run(None, {"image": images.numpy() + np.uint8(55)})
    np.testing.assert_allclose(shifted, logits, rtol=1e-3, atol=1e-3)


def test_a_training_normalises_and_its_card_says_so(shapes, tmp_path):
    recipe = Recipe("shapes", "scs", (4, 6), (1,), 3, batch_size=90, shift=1, normalise="stretch")
    network = train(recipe, shapes, tmp_path / "runs")
    assert load_network(tmp_path / "runs")[0].normalise == network.normalise == "stretch"
    card = export_runs("shapes-scs", [tmp_path / "runs"], shapes, tmp_path / "models", 1)
    assert card.training is not None and card.training.recipe["normalise"] == "stretch"
    assert "stretched to its range first" in card.description
    assert all(layer.receptive_field.everywhere for layer in card.layers), "by the darkest and the brightest pixel"
    with pytest.raises(DataError, match="another recipe"):
        train(Recipe("shapes", "scs", (4, 6), (1,), 3, batch_size=90, shift=1), shapes, tmp_path / "runs")
