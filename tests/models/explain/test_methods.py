"""Class maps of real networks: those of torch's gradients, of the weights, and of what matters to the class."""

import dataclasses
import hashlib

import numpy as np
import onnx
import pytest
import skimage.data
import skimage.filters
import torch
from onnx import numpy_helper
from scipy.stats import spearmanr
from skimage.transform import resize

from models.cards.catalogue import bundled_repository, find
from models.explain.maps import eigen_cam, grad_cam, layer_cam
from models.explain.masking import count_occluded, occlusion, score_cam
from models.onnx.as_torch import TorchGraph
from models.runtime.load import load_model

NAMES = ["cifar10-conv", "cifar10-scs"]
SIZE = 96


@dataclasses.dataclass(frozen=True)
class Bundled:
    content: bytes
    card: object
    model: object


@pytest.fixture(scope="module", params=NAMES)
def bundled(request) -> Bundled:
    return load(request.param)


@pytest.fixture(scope="module")
def conv() -> Bundled:
    return load("cifar10-conv")


def load(name):
    entry = find(bundled_repository(), name)
    content, card = entry.verified_bytes(), entry.card()
    return Bundled(content, card, load_model(content, card, "cpu"))


def photographs() -> np.ndarray:
    """Four photographs, (4, 96, 96, 3)."""
    squares = []
    for picture in (skimage.data.chelsea(), skimage.data.astronaut(), skimage.data.coffee(), skimage.data.rocket()):
        side = min(picture.shape[:2])
        top, left = ((length - side) // 2 for length in picture.shape[:2])
        small = resize(picture[top : top + side, left : left + side], (SIZE, SIZE), anti_aliasing=True)
        squares.append((small * 255).round().astype(np.uint8))
    return np.stack(squares)


def towards(classes, count=10) -> np.ndarray:
    return np.eye(count, dtype=np.float32)[classes]


def published(maps, gradients) -> tuple[np.ndarray, np.ndarray]:
    """Grad-CAM and LayerCAM as the papers have them, which pytorch-grad-cam computes before it scales to 0 to 1."""
    weighted = (gradients.mean((2, 3), keepdim=True) * maps).sum(1).relu()
    return weighted.numpy(), (gradients.relu() * maps).sum(1).relu().numpy()


def test_grad_cam_and_layer_cam_of_every_layer_are_those_of_torchs_gradients(bundled):
    images = photographs()[:2, :40, :56]
    graph = TorchGraph(bundled.content)
    for layer in bundled.card.layers:
        maps, gradients = by_torch(graph, layer.tensor, images, index=3)
        seen = bundled.model.gradients(images, layer.name, towards([3, 3]))
        for ours, wanted in zip(
            (grad_cam(seen.maps, seen.gradients), layer_cam(seen.maps, seen.gradients)),
            published(maps, gradients),
            strict=True,
        ):
            assert ours == pytest.approx(wanted, abs=1e-4 * max(1e-3, float(wanted.max()))), layer.name


def by_torch(graph, tensor, images, index):
    """The maps of a layer and the gradient of a logit by them, by automatic differentiation."""
    kept = {}
    step = graph._nodes  # the graph, run by torch; the layer's maps become a leaf
    values = {**graph._constants, "image": torch.from_numpy(images)}
    from models.onnx.torch_operations import OPERATIONS

    for operation, inputs, output, attributes in step:
        values[output] = OPERATIONS[operation](*(values[name] for name in inputs), **attributes)
        if output == tensor:
            values[output] = kept["maps"] = values[output].detach().requires_grad_()
    (gradients,) = torch.autograd.grad(values["logits"][:, index].sum(), kept["maps"])
    return kept["maps"].detach(), gradients


@pytest.mark.parametrize("layer", ["block2", "block4"])
def test_the_maps_of_a_picture_in_a_batch_are_its_maps_alone(bundled, layer):
    images, classes = photographs(), [3, 5, 0, 3]
    together = bundled.model.gradients(images, layer, towards(classes))
    for i, index in enumerate(classes):
        alone = bundled.model.gradients(images[i : i + 1], layer, towards([index]))
        for formula in (grad_cam, layer_cam):
            of_one = formula(alone.maps, alone.gradients)[0]
            of_all = formula(together.maps, together.gradients)[i]
            assert of_all == pytest.approx(of_one, abs=1e-4 * float(of_one.max()))
        assert eigen_cam(together.maps)[i] == pytest.approx(eigen_cam(alone.maps)[0], rel=1e-3, abs=1e-3)


@pytest.mark.parametrize(
    ("method", "most", "behind"),
    [
        ("gradcam", 0.4, "block3"),
        ("layercam", 0.7, "block3"),
        ("occlusion", 0.4, "block3"),
        ("scorecam", 0.7, "image"),  # the softmax of its weights is flat: what is behind the layer hardly matters
    ],
)
def test_a_network_with_other_weights_has_another_map(conv, method, most, behind):
    """The check of Adebayo et al., "Sanity Checks for Saliency Maps" (2018): no edges, which never change."""
    network = randomised(conv, behind)
    kinship = []
    for image in photographs():
        index = int(conv.model.logits(image[None]).argmax())
        before, after = (explain(model, image, index, method) for model in (conv.model, network))
        kinship.append(spearmanr(before, after, axis=None).statistic)
    assert np.nan_to_num(kinship).mean() < most


def randomised(bundled, behind):
    """The network with its weights behind a layer exchanged at random, each among its own kind."""
    model, random = onnx.load_from_string(bundled.content), np.random.default_rng(0)
    reached = behind == "image"
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        for name in node.input[1:2] if reached and node.op_type == "Conv" else []:
            values = numpy_helper.to_array(constants[name])
            constants[name].CopyFrom(
                numpy_helper.from_array(random.permuted(values.ravel()).reshape(values.shape), name)
            )
        reached = reached or behind in node.output
    content = model.SerializeToString()
    card = bundled.card.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})
    return load_model(content, card, "cpu")


def explain(model, image, index, method, layer="block3"):
    if method == "occlusion":
        return occlusion(model.logits, image, index, batch=64)
    seen = model.gradients(image[None], layer, towards([index]))
    if method == "scorecam":
        return score_cam(model.logits, image, seen.maps[0], index, batch=64)
    if method == "eigencam":
        return eigen_cam(seen.maps)[0]
    return (grad_cam if method == "gradcam" else layer_cam)(seen.maps, seen.gradients)[0]


def probability_left(model, image, index, values, is_deletion) -> float:
    """The mean probability of a class while pixels are hidden, or shown, the highest of a map first.

    Source:
        V. Petsiuk, A. Das and K. Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models" (2018).
    """
    order = np.argsort(-resize(values.astype(np.float64), image.shape[:2], order=1), axis=None, kind="stable")
    colour = image.mean((0, 1)).round().astype(np.uint8)
    pictures = []
    for done in range(17):
        first = np.zeros(order.size, bool)
        first[order[: order.size * done // 16]] = True
        hidden = first if is_deletion else ~first
        pictures.append(np.where(hidden.reshape(*image.shape[:2], 1), colour, image))
    logits = model.logits(np.stack(pictures))
    odds = np.exp(logits - logits.max(1, keepdims=True))
    return float((odds / odds.sum(1, keepdims=True))[:, index].mean())


def gain(model, image, index, values) -> float:
    """By how much more of a class there is where its highest pixels are shown than where they are hidden."""
    shown, hidden = (probability_left(model, image, index, values, is_deletion) for is_deletion in (False, True))
    return shown - hidden


@pytest.mark.parametrize("method", ["gradcam", "layercam", "occlusion"])
def test_what_a_map_shows_matters_more_than_edges_or_chance(bundled, method):
    """Insertion less deletion, in the mean over photographs, each for the class that the network takes it for."""
    random = np.random.default_rng(0)
    gains = {"map": [], "edges": [], "chance": []}
    for image in photographs():
        index = int(bundled.model.logits(image[None]).argmax())
        edges = skimage.filters.gaussian(skimage.filters.sobel(image.mean(2)), 2)
        maps = {"map": explain(bundled.model, image, index, method), "edges": edges, "chance": random.random((24, 24))}
        for name, values in maps.items():
            gains[name].append(gain(bundled.model, image, index, values))
    means = {name: np.mean(values) for name, values in gains.items()}
    assert means["map"] > means["edges"] + 0.03
    assert means["map"] > means["chance"] + 0.05


def test_score_cam_beats_edges_and_chance_where_maps_are_not_negative(conv):
    random, gains = np.random.default_rng(0), []
    for image in photographs():
        index = int(conv.model.logits(image[None]).argmax())
        edges = skimage.filters.gaussian(skimage.filters.sobel(image.mean(2)), 2)
        maps = explain(conv.model, image, index, "scorecam", "block4"), edges, random.random((24, 24))
        gains.append([gain(conv.model, image, index, values) for values in maps])
    ours, edges, chance = np.mean(gains, 0)
    assert ours > max(edges, chance) + 0.02


def brightness_of(rows, columns):
    """A network whose only class is how bright a part of a picture is."""
    return lambda images: images[:, rows, columns].mean((1, 2, 3), dtype=np.float32)[:, None]


def test_occlusion_finds_the_part_that_a_class_depends_on():
    picture = np.zeros((64, 48, 3), np.uint8)
    picture[8:16, 32:40] = 255
    values = occlusion(brightness_of(slice(8, 16), slice(32, 40)), picture, 0, batch=7)
    assert values.shape == (16, 12)
    assert {*zip(*np.nonzero(values > 0.9 * values.max()), strict=True)} == {(r, c) for r in (2, 3) for c in (8, 9)}
    assert np.abs(values[8:]).max() == 0


@pytest.mark.parametrize("size", [(96, 96), (7, 96), (5, 3), (1, 1), (33, 17)])
def test_occlusion_looks_at_as_many_pictures_as_it_says(size):
    seen = []

    def logits(images):
        seen.append(len(images))
        return images.mean((1, 2, 3), dtype=np.float32)[:, None]

    values = occlusion(logits, np.random.default_rng(0).integers(0, 256, (*size, 1), np.uint8), 0, batch=16)
    assert sum(seen) == count_occluded(*size)
    assert max(seen) <= 16
    assert np.isfinite(values).all()


def test_score_cam_follows_the_channel_that_shows_what_the_class_depends_on():
    picture = np.full((32, 32, 3), 20, np.uint8)
    picture[4:12, 4:12] = 250
    maps = np.zeros((3, 8, 8), np.float32)
    maps[0, 1:3, 1:3] = 1  # where the class is
    maps[1, 5:7, 5:7] = 1
    maps[2] = 0.5  # flat: nothing is shown
    values = score_cam(brightness_of(slice(4, 12), slice(4, 12)), picture, maps, 0, batch=2)
    assert values[1:3, 1:3].mean() > 0.9
    assert values[5:7, 5:7].max() < 0.1


def test_batches_do_not_change_score_cam():
    picture = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    maps = np.random.default_rng(1).random((5, 4, 5)).astype(np.float32)
    logits = brightness_of(slice(3, 9), slice(3, 9))
    one, all_at_once = (score_cam(logits, picture, maps, 0, batch) for batch in (1, 99))
    assert one == pytest.approx(all_at_once, abs=1e-6)


@pytest.mark.parametrize("shape", [(3, 6, 7), (50, 3, 2), (1, 4, 4)])
def test_eigen_cam_is_the_first_principal_component(shape):
    maps = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    features = maps.reshape(len(maps), -1).T.astype(np.float64)
    features -= features.mean(0)
    wanted = (features @ np.linalg.svd(features)[2][0]).reshape(shape[1:])
    wanted = wanted if wanted.max() >= -wanted.min() else -wanted
    assert eigen_cam(maps[None])[0] == pytest.approx(wanted, abs=1e-4)


def test_maps_that_are_the_same_everywhere_have_no_component():
    assert np.array_equal(eigen_cam(np.ones((1, 4, 3, 3), np.float32)), np.zeros((1, 3, 3)))
