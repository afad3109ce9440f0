import numpy as np
import pytest
import torch
from onnx import helper

from models.cards.card import LayerCard, ReceptiveFieldCard
from models.imports.graphs import Graph
from models.imports.moved_pixels import refuted
from models.imports.receptive_fields import receptive_fields
from models.imports.trial import measure, run
from tests.models.imports.networks import single

KERNEL = np.ones((4, 3, 3, 3), np.float32)

# A node from x to y, its constants, and the pixels that its unit 4 sees, down and across; every one has weight.
NODES = [
    (helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 0, 1, 2], strides=[2, 1]), {"w": KERNEL}, (7, 9), (4, 6)),
    (helper.make_node("Conv", ["x", "w"], ["y"], dilations=[2, 3]), {"w": KERNEL}, (4, 8), (4, 10)),
    (helper.make_node("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER", strides=[2, 2]), {"w": KERNEL},
     (8, 10), (8, 10)),
    (helper.make_node("Conv", ["x", "w"], ["y"], auto_pad="SAME_LOWER", strides=[2, 2]), {"w": KERNEL}, (7, 9), (7, 9)),
    (helper.make_node("Pad", ["x", "p"], ["y"]), {"p": np.array([0, 0, 2, 1, 0, 0, 0, 3])}, (2, 2), (3, 3)),
    (helper.make_node("Slice", ["x", "a", "e", "d", "s"], ["y"]),
     {"a": np.array([1, 0]), "e": np.array([99, 99]), "d": np.array([2, 3]), "s": np.array([2, 3])}, (9, 9), (12, 12)),
    (helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[2, 3], strides=[2, 1]), {}, (8, 9), (4, 6)),
    (helper.make_node("SpaceToDepth", ["x"], ["y"], blocksize=2), {}, (8, 9), (8, 9)),
    (helper.make_node("Relu", ["x"], ["y"]), {}, (4, 4), (4, 4)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("node", "constants", "down", "across"), NODES, ids=lambda value: getattr(value, "op_type", None)
)
def test_a_node_s_units_see_the_pixels_that_move_them(node, constants, down, across):
    model = single(node, **constants)
    image = np.random.default_rng(0).random((1, 3, 20, 20)).astype(np.float32)
    graph = Graph(model, "x")
    view = receptive_fields(graph, measure(graph, image), ("n", "c", "h", "w"))["y"]
    said = [(axis.low + 4 * axis.stride, axis.high + 4 * axis.stride) for axis in (view.down, view.across)]
    assert said == [down, across] and not view.everywhere

    (still,) = run(model, image, ["y"])
    for axis, (first, last) in ((2, down), (3, across)):
        moves = []
        for place in range(20):
            moved = image.copy()
            np.moveaxis(moved, axis, 0)[place] += 1
            (came,) = run(model, moved, ["y"])
            moves.append(bool(np.take(came != still, 4, axis).any()))
        seen = [place for place in range(20) if moves[place]]
        assert (seen[0], seen[-1]) == (first, last)


def view_of(node, shape=(1, 4, 8, 8), **constants):
    model = single(node, channels=shape[1], **constants)
    graph = Graph(model, "x")
    return receptive_fields(graph, measure(graph, np.ones(shape, np.float32)), ("n", "c", "h", "w"))["y"]


def test_what_is_not_known_is_said_to_see_everything():
    assert view_of(helper.make_node("NonZero", ["x"], ["y"])).everywhere
    assert view_of(helper.make_node("GlobalAveragePool", ["x"], ["y"])).everywhere
    assert view_of(helper.make_node("Softmax", ["x"], ["y"], axis=3)).everywhere
    assert not view_of(helper.make_node("Softmax", ["x"], ["y"], axis=1)).everywhere
    assert view_of(helper.make_node("InstanceNormalization", ["x", "s", "b"], ["y"]),
                   s=np.ones(4, np.float32), b=np.ones(4, np.float32)).everywhere  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "roles"),
    [
        ([1, 4, 64], ("n", "c", "t")),
        ([1, 2, 2, 8, 8], ("n", "c", "c", "h", "w")),
        ([1, 4, 4, 2, 8], ("n", "c", "h", "c", "w")),
    ],
)
def test_a_reshape_keeps_places_apart_from_channels(shape, roles):
    view = view_of(helper.make_node("Reshape", ["x", "s"], ["y"]), s=np.array(shape))
    assert tuple("n" if place == 0 else role for place, role in enumerate(view.roles)) == roles
    assert view.down is not None and not view.everywhere


def layer(size: int, offset: int) -> LayerCard:
    field = ReceptiveFieldCard(size=size, stride=1, offset=offset)
    return LayerCard(name="y", tensor="y", channels=1, receptive_field=field, signed=False)


@pytest.mark.parametrize(("size", "offset", "wrong"), [(5, -2, False), (7, -3, False), (4, -2, True), (5, -1, True)])
def test_moved_pixels_refute_a_field_that_is_too_small(size, offset, wrong):
    def maps(images: np.ndarray) -> dict[str, np.ndarray]:
        grey = torch.from_numpy(images[..., :1].astype(np.float32)).permute(0, 3, 1, 2)
        return {"y": torch.nn.functional.avg_pool2d(grey, 5, 1, 2).numpy()}

    assert bool(refuted([layer(size, offset)], maps, 24, 16, 3)) is wrong
