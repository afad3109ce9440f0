"""``scs predict``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from service.api.files import Upload
from service.api.predict import PredictOptions, PredictResponse
from service.api.ranking import Ranked, TemplateScore
from service.cli import options
from service.cli.files import read_file
from service.cli.local_models import open_model, settings_for
from service.client.client import Client
from service.tasks.predict import predict as predict_here


def predict(
    images: Annotated[list[Path], typer.Argument(help="Pictures.", metavar="IMAGE…")],
    model: options.Model = None,
    version: options.Version = None,
    top_k: Annotated[int, typer.Option(min=1, help="Classes to name.")] = 5,
    resize: Annotated[str, typer.Option(help="card, none, or pixels of the longer side.")] = "card",
    repository: options.Repository = None,
    url: options.Url = None,
    api_key: options.ApiKey = None,
    json: options.Json = False,
) -> None:
    """Classify pictures.

    Example: scs predict photo.jpg --model cifar10-scs --top-k 3
    """
    wanted = options.checked(PredictOptions, model=model, version=version, top_k=top_k, resize=resize)
    files = [read_file(path) for path in images]
    if url:
        answer = Client(url, api_key).predict(files, wanted)
    else:
        settings = settings_for(repository)
        answer = predict_here(open_model(settings, model, version), Upload(files), wanted, settings)
    if json:
        print(answer.model_dump_json(indent=2))
    else:
        _print(answer)


def _print(answer: PredictResponse) -> None:
    of_bank = any(isinstance(found, TemplateScore) for each in answer.predictions for found in each.classes)
    headings = ("template", "best score") if of_bank else ("class", "probability")
    table = Table("picture", *headings, title=f"{answer.model} {answer.version}", title_justify="left")
    for prediction in answer.predictions:
        ranking: Sequence[Ranked] = prediction.classes
        for rank, found in enumerate(ranking):
            table.add_row(prediction.name if rank == 0 else "", found.label, found.shown)
    Console().print(table)
