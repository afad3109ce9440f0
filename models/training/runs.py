"""The folder of a training: its checkpoint, log, weights and result, and the network that it left."""

from __future__ import annotations

import json
import os
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import torch

from models.networks import Network, add_gains
from models.style import Style
from models.training.fine_tuned import FineTuned, Start
from models.training.recipes import Recipe
from scs.errors import DataError

Trainable = Network | FineTuned
CHECKPOINT, LOG, RESULT, WEIGHTS = "checkpoint.pt", "log.jsonl", "result.json", "weights.pt"
ANOTHER_FOLDER = "name another folder with --out, or empty it"


def run_result(folder: Path) -> dict[str, Any]:
    """Return the result of a finished run.

    Raises:
        DataError: the folder holds no finished run.
    """
    if not (folder / RESULT).exists():
        raise DataError(f"a finished training has a {RESULT}; '{folder.name}' has none: run scs train first")
    result: dict[str, Any] = json.loads((folder / RESULT).read_text())
    result.setdefault("own", None)  # of trainings from before there was one's own data
    result.setdefault("stopped", None)  # or an early stop
    return result


def load_network(folder: Path) -> tuple[Trainable, dict[str, Any]]:
    """Load the trained network of a finished run, in evaluation mode, and its result.

    Raises:
        DataError: the folder holds no finished run.
    """
    result = run_result(folder)
    recipe, classes = result["recipe"], result["classes"]
    _fill_in(recipe)
    if recipe.get("start"):
        tuned = FineTuned(Start.load(folder), len(classes), recipe["frozen"])
        tuned.load_state_dict(torch.load(folder / WEIGHTS, weights_only=True))
        return tuned.eval(), result
    flat = [0.0] * result["channels"], [1.0] * result["channels"]  # the weights file holds the real ones
    network = Network(
        recipe["family"],
        result["channels"],
        len(classes),
        recipe["widths"],
        recipe["stages"],
        recipe["stem_size"],
        *flat,
        Style(**{field.name: recipe[field.name] for field in fields(Style)}),
        recipe["normalise"],
        recipe["opening"],
    )
    weights = torch.load(folder / WEIGHTS, weights_only=True)
    if "stem.gain" in weights:
        add_gains(network)
    network.load_state_dict(weights)
    return network.eval(), result


def load_finished(folder: Path, identity: dict[str, Any]) -> Trainable:
    """Load the network of a finished training, whose files stay as they are."""
    network, result = load_network(folder)
    check_identity(folder, result, identity)
    return network


def check_identity(folder: Path, found: dict[str, Any], identity: dict[str, Any]) -> None:
    """Refuse to go on with a training of another recipe, seed or data.

    Raises:
        DataError: it is one; the message says which of them differs.
    """
    _fill_in(found["recipe"])
    found.setdefault("data", identity["data"])  # of trainings from before data were told apart
    came = json.loads(json.dumps({key: found[key] for key in identity}))
    others = [key for key, value in json.loads(json.dumps(identity)).items() if came[key] != value]
    if others:
        what = " and ".join("other data" if key == "data" else f"another {key}" for key in others)
        raise DataError(f"'{folder}' holds a training with {what}; {ANOTHER_FOLDER}")


def _fill_in(recipe: dict[str, Any]) -> None:
    """Add what recipes had not, before there was a choice."""
    for field in fields(Recipe):
        if field.default is not MISSING:
            recipe.setdefault(field.name, field.default)


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a file atomically: a kill in the middle leaves the previous file."""
    unfinished = path.with_suffix(".tmp")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def append(path: Path, line: dict[str, Any], at_line: int) -> None:
    """Write line number ``at_line`` of a log, dropping what an interrupted epoch left from there on."""
    before = path.read_text().splitlines()[: at_line - 1] if path.exists() else []
    path.write_text("\n".join([*before, json.dumps(line)]) + "\n")
