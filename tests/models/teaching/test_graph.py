"""The file answers as the head does, and the mean of a class's map is its logit."""

import dataclasses
import hashlib

import numpy as np
import onnx
import pytest

from models.cards.catalogue import bundled_repository, find
from models.runtime.load import load_model
from models.runtime.pooled import pooled
from models.teaching.fit import Choice, fit, make_head
from models.teaching.graph import CLASS_MAP, KERNEL_MAPS, compose
from models.teaching.head import similarity
from models.teaching.network import feature_layer, open_network
from models.teaching.taught import Taught
from models.teaching.write import Source, read_pictures, write_taught
from scs.errors import ModelError, UnknownNameError
from tests.models.teaching.test_fit import heaps

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (12, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def network():
    entry = find(bundled_repository(), "cifar10-scs")
    return open_network(entry.card(), entry.verified_bytes(), None)


@pytest.fixture(scope="module")
def taught(network):
    names = tuple(str(i) for i in range(12))
    return Taught(network.views(IMAGES), np.repeat([0, 1, 2], 4), ("a", "b", "c"), names, names)


@pytest.mark.parametrize("choice", [Choice(), Choice(0.4, 2, 2.0, 0.5), Choice(0.9, 2, 4.0, 0.0)])
@pytest.mark.parametrize("threshold", [None, 0.2])
@pytest.mark.parametrize("pooling", ["mean", "maximum"])
def test_every_map_has_the_mean_or_maximum_that_its_kernel_or_class_answers(
    choice, threshold, pooling, network, taught
):
    network = dataclasses.replace(network, pooling=pooling)
    head = dataclasses.replace(make_head(taught, choice, 7.0), threshold=threshold)
    content = compose(network.content, network.layer.tensor, [], head, pooling)
    classes = 3 + (threshold is not None)
    labels = [*"abcd"][:classes]
    layers = [
        network.layer.model_copy(update={"name": name, "tensor": tensor, "channels": channels})
        for name, tensor, channels in (
            ("kernels", KERNEL_MAPS, len(head.kernels.owners)),
            ("class_map", CLASS_MAP, classes),
        )
    ]
    changed = {
        "labels": labels,
        "layers": layers,
        "class_map": "class_map",
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    model = load_model(content, network.card.model_copy(update=changed), "cpu")
    for images in (IMAGES, RANDOM.integers(0, 256, (2, 41, 57, 3), np.uint8)):
        views = network.views(images)
        came = model.layers(images, ["kernels", "class_map"])
        assert came["logits"] == pytest.approx(head.logits(views), abs=1e-3)
        answers = [similarity(head.space.place(each), head.kernels.vectors, head.sharpness) for each in views]
        assert pooled(came["kernels"], pooling) == pytest.approx(np.max(answers, axis=1), abs=1e-4)
        bias = [0.0] * 3 + [7.0 * threshold] * (classes - 3) if threshold else [0.0] * 3
        assert pooled(came["class_map"], pooling) + bias == pytest.approx(came["logits"], abs=1e-3)
        assert came["class_map"].shape[2:] == network.model.layers(images, ["block4"])["block4"].shape[2:]


def test_the_file_needs_nothing_of_the_old_head_and_no_later_layers(network, taught):
    head = make_head(taught, Choice(), 1.0)
    whole = onnx.load_from_string(network.content)
    early = feature_layer(network.card, "block1")
    cut = onnx.load_from_string(compose(network.content, early.tensor, [], _for(network, early, taught), "mean"))
    assert len(cut.graph.node) < len(whole.graph.node)
    assert [output.name for output in cut.graph.output] == ["logits"]
    once = compose(network.content, network.layer.tensor, [], head, "mean")
    assert compose(once, network.layer.tensor, [], head, "mean") == once


def _for(network, layer, taught):
    views = open_network(network.card, network.content, layer.name).views(IMAGES)
    return make_head(Taught(views, taught.labels, taught.classes, taught.names, taught.digests), Choice(), 1.0)


def test_a_layer_that_is_not_there_is_refused_and_so_is_a_network_without_any(network):
    with pytest.raises(UnknownNameError, match="no layer 'block9' in cifar10-scs; there are: stem"):
        feature_layer(network.card, "block9")
    with pytest.raises(ModelError, match="needed that shows a layer"):
        feature_layer(network.card.model_copy(update={"layers": []}), None)


def test_what_is_written_has_its_card_and_the_features_of_its_pictures(network, taught, tmp_path):
    other = heaps([4, 4, 4], channels=network.layer.channels)
    fitted = fit(other)
    source = Source("cifar10-scs 2", network.card.sha256, "heaps")
    card = write_taught("bolts", tmp_path, network, source, other, fitted)
    assert card.taught.kernels == len(fitted.head.kernels.owners)
    entry = find(tmp_path, "bolts")
    assert entry.card() == card
    assert np.array_equal(read_pictures(entry, card).views, other.views)
    (entry.folder / "taught.npz").write_bytes(taught.to_bytes())
    with pytest.raises(ModelError, match="needs the SHA-256 of its card"):
        read_pictures(entry, card)
    (entry.folder / "taught.npz").unlink()
    with pytest.raises(ModelError, match=r"needs its taught\.npz to be taught more; there is none"):
        read_pictures(entry, card)
