"""A training survives a kill, learns, and leaves behind what it was."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.training import augmentation
from models.training import train as training
from models.training.learner import Learner, Step
from models.training.recipes import Recipe
from models.training.runs import load_network
from models.training.train import build_network, split, train
from scs.errors import DataError

EPOCHS, BATCHES = 3, 6


def quick(family="scs", **changes):
    settings = {
        "widths": (4, 6),
        "stages": (1,),
        "epochs": EPOCHS,
        "batch_size": 90,
        "shift": 1,
        "mirror": True,
    } | changes
    return Recipe("shapes", family, **settings)


def log_of(folder):
    """The lines of the log, less the time they took."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if not key.endswith("seconds")} for line in lines]


def assert_same_weights(ours, theirs):
    ours, theirs = ours.state_dict(), theirs.state_dict()
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


class KilledError(Exception):
    pass


def kill_at(epoch, batch):
    def on_step(step):
        if (step.epoch, step.batch) == (epoch, batch):
            raise KilledError

    return on_step


@pytest.fixture(scope="module")
def uninterrupted(shapes, tmp_path_factory):
    """A training of each family that nothing stopped, and its folder."""
    folders = {family: tmp_path_factory.mktemp(family) for family in ("scs", "conv")}
    return {family: (train(quick(family), shapes, folder), folder) for family, folder in folders.items()}


@pytest.mark.parametrize("family", ["scs", "conv"])
@pytest.mark.parametrize("epoch, batch", [(1, 2), (2, 3), (3, BATCHES)])
def test_a_training_resumed_after_a_kill_ends_with_the_same_weights(
    family, epoch, batch, shapes, uninterrupted, tmp_path
):
    with pytest.raises(KilledError):
        train(quick(family), shapes, tmp_path, on_step=kill_at(epoch, batch))
    with pytest.raises(DataError, match="a finished training has a result.json"):
        load_network(tmp_path)
    resumed = train(quick(family), shapes, tmp_path)
    whole, folder = uninterrupted[family]
    assert_same_weights(resumed, whole)
    assert log_of(tmp_path) == log_of(folder)
    assert [line["epoch"] for line in log_of(tmp_path)] == [1, 2, 3]


def test_a_kill_in_the_middle_of_writing_leaves_nothing_that_a_resumed_training_trips_over(
    shapes, uninterrupted, tmp_path
):
    with pytest.raises(KilledError):
        train(quick(), shapes, tmp_path, on_step=kill_at(2, 1))
    (tmp_path / "checkpoint.tmp").write_bytes(b"half a checkpoint")
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"epoch": 2, "lo')
    whole, folder = uninterrupted["scs"]
    assert_same_weights(train(quick(), shapes, tmp_path), whole)
    assert log_of(tmp_path) == log_of(folder)


def test_a_finished_training_is_not_trained_further(shapes, uninterrupted):
    whole, folder = uninterrupted["conv"]
    steps = []
    assert_same_weights(train(quick("conv"), shapes, folder, on_step=steps.append), whole)
    assert steps == []


def test_a_training_from_before_there_were_styles_is_a_plain_one(shapes, uninterrupted, tmp_path):
    whole, folder = uninterrupted["conv"]
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    result = json.loads((tmp_path / "result.json").read_text())
    later = {"opening", "beta2", "pooling", "blur", "activation", "lean", "patience"}
    result["recipe"] = {key: value for key, value in result["recipe"].items() if key not in later}
    del result["stopped"]
    (tmp_path / "result.json").write_text(json.dumps(result))
    assert_same_weights(train(quick("conv"), shapes, tmp_path), whole)

    (tmp_path / "result.json").unlink()
    checkpoint = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    checkpoint["recipe"] = {key: value for key, value in checkpoint["recipe"].items() if key not in later}
    del checkpoint["early_stop"]
    torch.save(checkpoint, tmp_path / "checkpoint.pt")
    assert_same_weights(train(quick("conv"), shapes, tmp_path), whole)


def test_squared_gradients_are_kept_as_the_recipe_says(shapes):
    for beta2 in (0.999, 0.98):
        recipe = quick("conv", beta2=beta2)
        learner = Learner.of(build_network(recipe, shapes), recipe, 5, torch.device("cpu"))
        assert {group["betas"][1] for group in learner.optimiser.param_groups} == {beta2}


def test_a_training_from_when_layers_had_a_gain_is_loaded_and_not_gone_on_with(shapes, uninterrupted, tmp_path):
    whole, folder = uninterrupted["scs"]
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    gains = {f"{name}.gain": torch.tensor(3.0) for name in ("stem", "blocks.0.1")}
    for file in ("weights.pt", "checkpoint.pt"):
        state = torch.load(tmp_path / file, weights_only=True)
        state.get("model", state).update(gains)
        torch.save(state, tmp_path / file)
    network, _ = load_network(tmp_path)
    image = torch.from_numpy(shapes.test_images[:4])
    torch.testing.assert_close(network.layers(image)["stem"], 3 * whole.layers(image)["stem"])

    (tmp_path / "result.json").unlink()
    with pytest.raises(DataError, match="holds a training of an earlier version's network; name another folder"):
        train(quick(), shapes, tmp_path)


@pytest.fixture
def turning(monkeypatch):
    """Losses on the images held back that fall for two epochs of a training, then rise."""

    def judge(network, images, labels, device=None):
        network.seen = getattr(network, "seen", 0) + 1
        return 0.5, abs(network.seen + offset - 2)

    offset = 0
    monkeypatch.setattr(training, "judge", judge)

    def begin_at(epoch):
        nonlocal offset
        offset = epoch

    return begin_at


def test_a_training_stops_where_it_gets_no_better_and_has_the_weights_of_its_best_epoch(shapes, turning, tmp_path):
    recipe = quick("conv", epochs=8, patience=2)
    stopped = train(recipe, shapes, tmp_path / "stopped")
    assert [line["validation_loss"] for line in log_of(tmp_path / "stopped")] == [1, 0, 1, 2]
    _, result = load_network(tmp_path / "stopped")
    assert result["stopped"] == {"after": 4, "best": 2}
    checkpoint = torch.load(tmp_path / "stopped" / "checkpoint.pt", weights_only=True)
    best = checkpoint["early_stop"]["weights"]
    assert all(torch.equal(value, best[name]) for name, value in stopped.state_dict().items())
    assert not all(torch.equal(value, best[name]) for name, value in checkpoint["model"].items())

    whole = train(quick("conv", epochs=8), shapes, tmp_path / "whole")
    assert len(log_of(tmp_path / "whole")) == 8 and load_network(tmp_path / "whole")[1]["stopped"] is None
    last = torch.load(tmp_path / "whole" / "checkpoint.pt", weights_only=True)["model"]
    assert all(torch.equal(value, last[name]) for name, value in whole.state_dict().items())


@pytest.mark.parametrize("epoch", [2, 4])
def test_a_training_that_was_killed_stops_early_where_it_would_have(epoch, shapes, turning, tmp_path, monkeypatch):
    recipe = quick("conv", epochs=8, patience=2)
    whole = train(recipe, shapes, tmp_path / "whole")
    with monkeypatch.context() as killed, pytest.raises(KilledError):
        if epoch == 4:  # after its last epoch, before it is finished
            killed.setattr(training, "_finish", lambda *_: kill_at(0, 0)(Step(0, 0, 0, 0, 0)))
        train(recipe, shapes, tmp_path / "killed", on_step=kill_at(epoch + 1, 1))
    turning(epoch)
    assert_same_weights(train(recipe, shapes, tmp_path / "killed"), whole)
    assert load_network(tmp_path / "killed")[1]["stopped"] == {"after": 4, "best": 2}
    assert log_of(tmp_path / "killed") == log_of(tmp_path / "whole")


@pytest.mark.parametrize("changes, seed", [({"shift": 2}, 0), ({}, 1)], ids=["recipe", "seed"])
def test_a_folder_with_another_training_is_refused(changes, seed, shapes, uninterrupted, request):
    _, folder = uninterrupted["scs"]
    with pytest.raises(DataError, match=f"holds a training with another {request.node.callspec.id};"):
        train(quick(**changes), shapes, folder, seed)


@pytest.mark.parametrize("file", ["result.json", "checkpoint.pt"])
def test_a_folder_trained_on_other_data_is_refused(file, shapes, uninterrupted, tmp_path):
    shutil.copytree(uninterrupted["scs"][1], tmp_path, dirs_exist_ok=True)
    if file == "checkpoint.pt":
        (tmp_path / "result.json").unlink()
    black = dataclasses.replace(shapes, train_images=np.zeros_like(shapes.train_images))
    with pytest.raises(DataError, match="with other data;"):
        train(quick(), black, tmp_path)


def test_too_few_images_for_a_batch_are_refused(shapes, tmp_path):
    with pytest.raises(DataError, match="a batch needs 541 images; 540 came"):
        train(quick(batch_size=541), shapes, tmp_path)


def test_too_few_steps_for_the_schedule_are_refused(shapes, tmp_path):
    with pytest.raises(DataError, match=r"a training needs 5 steps; 2 epoch\(s\) of 2 batch\(es\) came"):
        train(quick(batch_size=270, epochs=2), shapes, tmp_path)


def test_every_batch_is_reported(shapes, tmp_path):
    steps: list[Step] = []
    train(quick(epochs=2), shapes, tmp_path, on_step=steps.append)
    assert [(step.epoch, step.batch) for step in steps] == [(e, b) for e in (1, 2) for b in range(1, BATCHES + 1)]
    assert {step.batches for step in steps} == {BATCHES}
    assert steps[-1].loss == pytest.approx(log_of(tmp_path)[-1]["loss"], abs=1e-4)
    assert steps[-1].accuracy == pytest.approx(log_of(tmp_path)[-1]["train_accuracy"], abs=1e-4)


@pytest.mark.parametrize("family", ["scs", "conv"])
def test_it_learns(family, runs):
    for folder in runs[family]:
        log = log_of(folder)
        assert log[-1]["loss"] < 0.7 * log[0]["loss"]
        _, result = load_network(folder)
        assert result["test_accuracy"] > 0.7, "chance is 1/3"


def test_the_result_says_what_was_trained_and_how_well(shapes, runs):
    network, result = load_network(runs["scs"][1])
    parts = split(shapes)
    counted = {
        name: (network(images).argmax(1) == labels).double().mean().item()
        for name, (images, labels) in {"validation": parts.validation, "test": parts.test}.items()
    }
    images, labels = parts.validation
    held_back_loss = F.cross_entropy(network(images), labels).item()
    assert re.fullmatch("[0-9a-f]{40}", result.pop("git_commit") or "0" * 40)
    assert result == {
        "recipe": {
            "dataset": "shapes",
            "family": "scs",
            "widths": [8, 12, 16],
            "stages": [1, 1],
            "epochs": 6,
            "opening": 0,
            "stem_size": 3,
            "batch_size": 30,
            "learning_rate": 0.01,
            "beta2": 0.999,
            "weight_decay": 0.01,
            "label_smoothing": 0.0,
            "shift": 1,
            "mirror": False,
            "pooling": "largest",
            "blur": False,
            "activation": "relu",
            "lean": False,
            "normalise": "none",
            "patience": 0,
        },
        "seed": 1,
        "data": shapes.sha256,
        "own": None,
        "note": "drawn for the tests",
        "stopped": None,
        "classes": ["disc", "bar", "cross"],
        "channels": 3,
        "validation_accuracy": pytest.approx(counted["validation"]),
        "validation_loss": pytest.approx(held_back_loss),
        "test_accuracy": pytest.approx(counted["test"]),
        "torch": torch.__version__,
    }


def test_a_network_is_loaded_as_it_was_trained(uninterrupted):
    whole, folder = uninterrupted["conv"]
    loaded, _ = load_network(folder)
    assert_same_weights(loaded, whole)
    assert not loaded.training


def test_a_split_loses_no_image_and_keeps_labels_with_their_images(shapes):
    parts = split(shapes)
    pairs = [
        (image.numpy().tobytes(), int(label))
        for images, labels in (parts.train, parts.validation)
        for image, label in zip(images, labels, strict=True)
    ]
    given = [
        (image.tobytes(), int(label)) for image, label in zip(shapes.train_images, shapes.train_labels, strict=True)
    ]
    assert sorted(pairs) == sorted(given)
    assert len(parts.validation[0]) == 60


def test_the_images_held_back_are_the_same_for_every_seed_and_never_trained_on(shapes, tmp_path, monkeypatch):
    trained, held_back = [], []
    monkeypatch.setattr(augmentation, "shift", lambda images, *_: trained.append(images) or images)
    monkeypatch.setattr(training, "judge", lambda network, images, *_: held_back.append(images) or (0.5, 1.0))
    for seed in (0, 1):
        train(quick(epochs=1), shapes, tmp_path / str(seed), seed)
    validation = {image.numpy().tobytes() for image in held_back[0]}
    assert torch.equal(held_back[0], held_back[len(held_back) // 2])
    assert len(trained) == 2 * BATCHES
    assert not torch.equal(trained[0], trained[BATCHES]), "the seed decides the order"
    assert validation.isdisjoint(image.numpy().tobytes() for batch in trained for image in batch)


def test_a_network_is_judged_by_the_share_of_images_put_in_their_class_and_by_its_loss():
    labels = torch.arange(1200) % 3
    says_one = lambda images: torch.tensor([0.0, 1.0, 0.5]).expand(len(images), 3)  # noqa: E731
    right, loss = training.judge(says_one, torch.zeros(1200, 1, 1, 1), labels)
    assert right == 1 / 3
    assert loss == pytest.approx(np.log(np.exp([0, 1, 0.5]).sum()) - 0.5)


def test_a_finished_training_stays_as_it_is(shapes, tmp_path):
    recipe = Recipe("shapes", "conv", (4, 6), (1,), epochs=1, batch_size=60)
    train(recipe, shapes, tmp_path, note="told once")
    before = (tmp_path / "result.json").read_bytes()
    train(recipe, shapes, tmp_path)
    assert (tmp_path / "result.json").read_bytes() == before
    with pytest.raises(DataError, match="another seed"):
        train(recipe, shapes, tmp_path, seed=1)
    other = dataclasses.replace(shapes, train_labels=shapes.train_labels[::-1])
    with pytest.raises(DataError, match="with other data;"):
        train(recipe, other, tmp_path)
