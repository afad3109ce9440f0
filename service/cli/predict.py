"""The command ``scs predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.api.files import Upload
from service.api.predict import PredictOptions
from service.cli import options
from service.cli.files import read_file
from service.cli.local_models import open_model, predict_here, settings_for
from service.cli.printing.plain import say_json
from service.cli.printing.predictions import print_predictions
from service.client.client import Client


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
        say_json(answer.model_dump_json(indent=2))
    else:
        print_predictions(answer)
