"""A client of the service, for the command line and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2 as httpx
from pydantic import BaseModel, ValidationError

from scs.errors import ServerError
from service.api.activations import ActivationOptions, ActivationsResponse
from service.api.files import MatchUpload, NamedBytes, Upload
from service.api.match import MatchOptions, MatchResponse
from service.api.models import ModelDetail, ModelList
from service.api.predict import PredictOptions, PredictResponse

Answer = TypeVar("Answer", bound=BaseModel)
_TIMEOUT_S = 120.0
_MOST_SAID = 2000  # letters of a refusal


class _Version(BaseModel):
    version: str | None


class Client:
    """A client of a running service, over HTTP.

    Args:
        url: of the service, such as ``http://127.0.0.1:8000``.
        api_key: where the service asks for one.

    Every method raises :class:`scs.errors.ServerError` where the service cannot be reached, or with what it said where
    it refused.

    Example:
        >>> from pathlib import Path
        >>> client = Client("http://127.0.0.1:8000")
        >>> cat = NamedBytes("cat.jpg", Path("docs/pictures/cat.jpg").read_bytes())
        >>> client.predict([cat], PredictOptions(top_k=1)).predictions[0].classes[0].label
        'cat'
        >>> [layer.name for layer in client.activations(Upload([cat]), ActivationOptions(layers="stem")).layers]
        ['stem']
        >>> eye = MatchUpload(cat, reference=cat)
        >>> client.match(eye, MatchOptions(box="300,230,150,120", top=1)).matches[0].present
        True
    """

    def __init__(self, url: str, api_key: str | None = None) -> None:
        self.url = url.rstrip("/")
        # As bytes: a key that is not ASCII is the service's to refuse.
        self._headers = (
            {} if api_key is None else {b"Authorization": b"Bearer " + api_key.encode("utf-8", "surrogateescape")}
        )

    def predict(self, images: Sequence[NamedBytes], options: PredictOptions) -> PredictResponse:
        """Classify pictures."""
        return self._json("POST", "/predict", PredictResponse, Upload(list(images)), options)

    def activations(self, upload: Upload, options: ActivationOptions) -> ActivationsResponse:
        """Get heatmaps of a network's layers for one picture."""
        return self._json("POST", "/activations", ActivationsResponse, upload, options)

    def activations_as(self, media_type: str, upload: Upload, options: ActivationOptions) -> bytes:
        """Get heatmaps as one picture (``image/png``) or the raw numbers (``application/x-npz``)."""
        return self._send("POST", "/activations", upload, options, accept=media_type).content

    def match(self, upload: MatchUpload, options: MatchOptions) -> MatchResponse:
        """Find templates in a scene."""
        return self._json("POST", "/match", MatchResponse, upload, options)

    def match_as(self, media_type: str, upload: MatchUpload, options: MatchOptions) -> bytes:
        """Get the best match's score map as a picture (``image/png``) or numbers (``application/x-npy``, ``-npz``)."""
        return self._send("POST", "/match", upload, options, accept=media_type).content

    def models(self) -> ModelList:
        """List the models."""
        return self._json("GET", "/models", ModelList)

    def model(self, name: str, version: str | None = None) -> ModelDetail:
        """Get a model's card, of the default version unless another is named."""
        return self._json(
            "GET", f"/models/{quote(name, safe='', errors='replace')}", ModelDetail, options=_Version(version=version)
        )

    def _json(
        self,
        method: str,
        path: str,
        answer: type[Answer],
        upload: Upload | MatchUpload | None = None,
        options: BaseModel | None = None,
    ) -> Answer:
        content = self._send(method, path, upload, options).content
        try:
            return answer.model_validate_json(content)
        except ValidationError as error:
            raise ServerError(f"{self.url} gave another answer than this client knows: {_first_of(error)}") from None

    def _send(
        self,
        method: str,
        path: str,
        upload: Upload | MatchUpload | None,
        options: BaseModel | None,
        accept: str = "application/json",
    ) -> httpx.Response:
        parameters: dict[str, Any] = {} if options is None else options.model_dump(by_alias=True, exclude_none=True)
        try:
            response = httpx.request(
                method,
                self.url + path,
                params=parameters,
                files=None if upload is None else _form(upload),
                headers={b"Accept": accept.encode(), **self._headers},
                timeout=_TIMEOUT_S,
            )
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise ServerError(f"no answer from {self.url}: {error}") from None
        if response.is_error:
            raise ServerError(f"{self.url} answered {response.status_code}: {_detail(response)}")
        return response


def _form(upload: Upload | MatchUpload) -> list[tuple[str, tuple[str, bytes, str]]]:
    if isinstance(upload, MatchUpload):
        fields = [("scene", upload.scene), *(("template", file) for file in upload.templates)]
        fields += [("mask", file) for file in upload.masks]
        fields += [("reference", upload.reference)] if upload.reference else []
    else:
        fields = [("file", file) for file in upload.images]
        fields += [("template", upload.template)] if upload.template else []
    return [(field, (file.name, file.content, _media_type(file))) for field, file in fields]


def _media_type(file: NamedBytes) -> str:
    return "application/x-npy" if file.is_npy else "application/octet-stream"


def _first_of(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))[:80] or "the whole"
    return f"{where}: {first['msg'][:200]}"


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])[:_MOST_SAID]
    except (ValueError, KeyError, TypeError, RecursionError):
        return response.reason_phrase
