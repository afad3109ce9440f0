"""Questions to the service: what is sent for each, and how its answer is read; nothing here sends anything."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from scs.errors import OptionError
from service.api.activations import ActivationOptions, ActivationsResponse
from service.api.files import MatchUpload, NamedBytes, Upload
from service.api.health import Ready
from service.api.match import MatchOptions, MatchResponse
from service.api.models import LayerKernel, ModelDetail, ModelList
from service.api.predict import PredictOptions, PredictResponse
from service.client.activations import Activations
from service.client.archives import Body, read_archive
from service.client.files import Image, to_file
from service.client.matches import Matches
from service.client.options import checked
from service.client.prediction import Prediction

Answer = TypeVar("Answer")
Other = TypeVar("Other")
Schema = TypeVar("Schema", bound=BaseModel)
JSON, ARCHIVE = "application/json", "application/zip"
Field = tuple[str, NamedBytes]


@dataclass(frozen=True)
class Question(Generic[Answer]):
    """One request to the service, and how its answer is read.

    Attributes:
        path: of the route.
        read: turns the answer's body into what is returned; raises ``ValueError`` or ``LookupError`` where it is none.
        options: in the address.
        files: of the form, each with the name of its field.
        known: the picture that the service may know already, which is one of ``files``; none where it keeps none.
        accept: form of the answer.
        method: of HTTP.
        refusals: statuses beside 200 whose body is an answer, too.
    """

    path: str
    read: Callable[[Body], Answer]
    options: Mapping[str, Any] = field(default_factory=dict)
    files: Sequence[Field] = ()
    known: NamedBytes | None = None
    accept: str = JSON
    method: str = "POST"
    refusals: tuple[int, ...] = ()

    def read_by(
        self, read: Callable[[Body], Other], accept: str = JSON, known: NamedBytes | None = None
    ) -> Question[Other]:
        """Return the same question, its answer read in another way, and asked for in another form."""
        return Question(self.path, read, self.options, self.files, known, accept)

    def is_answered_by(self, status: int, content_type: str) -> bool:
        """Return whether a reply is an answer, and no refusal."""
        return status == 200 or (status in self.refusals and not content_type.startswith("application/problem"))

    def by_digest(self) -> Question[Answer]:
        """Return the same question about the picture that is known, which is named and not sent."""
        assert self.known is not None
        return replace(
            self,
            options={**self.options, "picture": f"sha256:{self.known.digest}"},
            files=[each for each in self.files if each[1] is not self.known],
        )


def predict(images: Sequence[Image], choices: Mapping[str, Any]) -> Question[list[Prediction]]:
    """Ask for the classes of pictures."""
    files = [_whole(image, f"picture {number}") for number, image in enumerate(images)]
    if not files:
        raise OptionError("predict needs a picture; none came")
    asked = predict_files(files, checked(PredictOptions, choices))
    return asked.read_by(lambda body: Prediction.all_of(asked.read(body), files))


def activations(image: Image, template: Image | None, choices: Mapping[str, Any]) -> Question[Activations]:
    """Ask for the feature maps of a picture, as numbers."""
    picture = _with_digest(to_file(image))
    part = None if template is None else _whole(template, "template")
    asked = activation_files(Upload([picture], part), checked(ActivationOptions, choices))
    return asked.read_by(
        lambda body: Activations.of(*_archive(ActivationsResponse, body), picture), accept=ARCHIVE, known=picture
    )


def match(
    scene: Image,
    templates: Sequence[Image],
    masks: Sequence[Image],
    reference: Image | None,
    scores: bool,
    choices: Mapping[str, Any],
) -> Question[Matches]:
    """Ask where templates are in a scene, and for the scores everywhere if those are wanted."""
    where = _with_digest(to_file(scene, "scene"))
    options = checked(MatchOptions, choices)
    other = None if reference is None else _whole(reference, "reference")
    what = [_whole(each, f"template {number}") for number, each in enumerate(templates)]
    hidden = [_whole(each, f"mask {number}") for number, each in enumerate(masks)]
    if other is None and not what and options.box is not None:
        MatchUpload(where, masks=hidden, reference=where)  # the box is one of the scene, which is sent once
        files: list[Field] = [("scene", where), *(("mask", each) for each in hidden)]
    else:
        files = _match_form(MatchUpload(where, what, hidden, other))
    asked = Question("/match", partial(_schema, MatchResponse), _sent(options), files)
    if scores:
        return asked.read_by(lambda body: Matches.of(*_archive(MatchResponse, body), where), ARCHIVE, where)
    return asked.read_by(lambda body: Matches.of(asked.read(body), {}, where), known=where)


def models() -> Question[ModelList]:
    """Ask for the list of models."""
    return Question("/models", partial(_schema, ModelList), method="GET")


def model(name: str, version: str | int | None = None) -> Question[ModelDetail]:
    """Ask for a model's card, of the default version unless another is named."""
    options = {} if version is None else {"version": version}
    path = f"/models/{quote(name, safe='', errors='replace')}"
    return Question(path, partial(_schema, ModelDetail), options, method="GET")


def kernel(name: str, layer: str, channel: int, version: str | int | None = None) -> Question[LayerKernel]:
    """Ask for what a channel of a layer looks for."""
    asked = model(name, version)
    options = {**asked.options, "layer": layer, "channel": channel}
    return Question(f"{asked.path}/kernel", partial(_schema, LayerKernel), options, method="GET")


def health() -> Question[Ready]:
    """Ask whether the service is ready."""
    return Question("/v2/health/ready", partial(_schema, Ready), method="GET", refusals=(503,))


def predict_files(files: Sequence[NamedBytes], options: PredictOptions) -> Question[PredictResponse]:
    """Ask for the classes of pictures, and for the answer as the service has it."""
    fields = [("file", file) for file in files]
    return Question("/predict", partial(_schema, PredictResponse), _sent(options), fields)


def activation_files(upload: Upload, options: ActivationOptions) -> Question[ActivationsResponse]:
    """Ask for heatmaps, and for the answer as the service has it."""
    fields = [("file", file) for file in upload.images]
    fields += [("template", upload.template)] if upload.template else []
    return Question("/activations", partial(_schema, ActivationsResponse), _sent(options), fields)


def match_files(upload: MatchUpload, options: MatchOptions) -> Question[MatchResponse]:
    """Ask where templates are, and for the answer as the service has it."""
    return Question("/match", partial(_schema, MatchResponse), _sent(options), _match_form(upload))


def as_bytes(question: Question[Any], media_type: str) -> Question[bytes]:
    """Return the same question with its answer in another form, ``image/png`` say, unread."""
    return question.read_by(bytes, media_type)


def _whole(image: Image, name: str) -> NamedBytes:
    file = to_file(image, name)
    if file.digest is not None:
        raise OptionError(f"only the picture of activations and the scene of match may be a digest; {name} is one")
    return file


def _match_form(upload: MatchUpload) -> list[Field]:
    fields = [("scene", upload.scene), *(("template", file) for file in upload.templates)]
    fields += [("mask", file) for file in upload.masks]
    return [*fields, *([("reference", upload.reference)] if upload.reference else [])]


def _sent(options: BaseModel) -> dict[str, Any]:
    return options.model_dump(by_alias=True, exclude_none=True)


def _with_digest(file: NamedBytes) -> NamedBytes:
    return file if file.digest else replace(file, digest=hashlib.sha256(file.content).hexdigest())


def _schema(kind: type[Schema], body: Body) -> Schema:
    try:
        return kind.model_validate_json(bytes(body))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:80] or "the whole"
        raise ValueError(f"{where}: {first['msg'][:200]}") from None


def _archive(kind: type[Schema], body: Body) -> tuple[Schema, dict[str, Any]]:
    answer, arrays = read_archive(body)
    return _schema(kind, answer), arrays
