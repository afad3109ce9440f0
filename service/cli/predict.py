"""The command ``scs predict``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from service.api.files import NamedBytes, Upload
from service.api.predict import Failure, PredictOptions, PredictResponse
from service.api.ranking import Timing
from service.cli import options
from service.cli.local_models import open_model, predict_here, settings_for
from service.cli.picture_files import PictureFile, find_pictures, in_requests
from service.cli.printing.plain import say_json
from service.cli.printing.predictions import print_failures, print_predictions
from service.client import Client, questions

Ask = Callable[[list[NamedBytes]], PredictResponse]


def predict(
    images: Annotated[
        list[Path], typer.Argument(help="Pictures, folders of them, or - for standard input.", metavar="IMAGE…")
    ],
    model: options.Model = None,
    version: options.Version = None,
    top_k: Annotated[int, typer.Option(min=1, help="Classes to name.")] = 5,
    resize: Annotated[str, typer.Option(help="card, none, or pixels of the longer side.")] = "card",
    partial: Annotated[
        bool, typer.Option(help="Answer for the others where some pictures cannot be read; the exit status is 1 then.")
    ] = True,
    repository: options.Repository = None,
    url: options.Url = None,
    api_key: options.ApiKey = None,
    json: options.Json = False,
) -> None:
    """Classify pictures.

    Example: scs predict photo.jpg holiday/ --model cifar10-scs --top-k 3
    """
    wanted = options.checked(PredictOptions, model=model, version=version, top_k=top_k, resize=resize, partial=partial)
    files = find_pictures(images)
    ask = _asking(wanted, repository, url, api_key)
    answer, failures = _predict(files, ask, partial)
    if json and answer is not None:
        say_json(answer.model_dump_json(indent=2))
    elif answer is not None and answer.predictions:
        print_predictions(answer)
    print_failures(failures, of=len(files))
    if failures:
        raise typer.Exit(1)


def _asking(wanted: PredictOptions, repository: Path | None, url: str | None, api_key: str | None) -> Ask:
    """Return what classifies pictures: a server, or a model that is loaded here."""
    if url:
        client = Client(url, api_key)
        return lambda files: client.ask(questions.predict_files(files, wanted))
    settings = settings_for(repository)
    loaded = open_model(settings, wanted.model, wanted.version)
    return lambda files: predict_here(loaded, Upload(files), wanted, settings)


def _predict(files: Sequence[PictureFile], ask: Ask, partial: bool) -> tuple[PredictResponse | None, list[Failure]]:
    """Classify pictures in as many requests as they take; return the answer, None if none was asked for, and failures.

    Raises:
        OSError: a file cannot be read, unless the others are to be answered.
    """
    answers: list[PredictResponse] = []
    failures: list[Failure] = []
    for part in in_requests(files):
        read: list[tuple[PictureFile, NamedBytes]] = []
        for file in part:
            try:
                read.append((file, file.read()))
            except OSError as error:
                if not partial:
                    raise
                failures.append(Failure(name=file.name, number=file.number, detail=error.strerror or str(error)))
        if read:
            answers.append(ask([content for _, content in read]))
            failures += [_renumbered(each, read[each.number - 1][0]) for each in answers[-1].failures]
    failures.sort(key=lambda each: each.number)
    return (_joined(answers, failures) if answers else None), failures


def _renumbered(failure: Failure, file: PictureFile) -> Failure:
    return failure.model_copy(update={"number": file.number, "name": file.name})


def _joined(answers: Sequence[PredictResponse], failures: list[Failure]) -> PredictResponse:
    return answers[0].model_copy(
        update={
            "predictions": [each for answer in answers for each in answer.predictions],
            "failures": failures,
            "timing": Timing(
                decode_ms=round(sum(answer.timing.decode_ms for answer in answers), 3),
                inference_ms=round(sum(answer.timing.inference_ms for answer in answers), 3),
            ),
        }
    )
