"""The client of the service that waits for each answer."""

from __future__ import annotations

import time
import weakref
from collections.abc import Sequence
from contextlib import closing
from types import TracebackType
from typing import Self, TypeVar, Unpack

import httpx2 as httpx

from service.api.health import Ready
from service.api.models import LayerKernel, ModelDetail, ModelList
from service.client import questions
from service.client.activations import Activations
from service.client.archives import BodyWriter
from service.client.conversation import LIMITS, Conversation, Reply, Wait, headers_for
from service.client.files import Image
from service.client.matches import Matches
from service.client.options import ActivationChoices, MatchChoices, PredictChoices
from service.client.prediction import Prediction
from service.client.questions import Question

Answer = TypeVar("Answer")


class Client:
    """A client of a running service, over HTTP.

    A picture is a path, bytes, a file open in binary mode, a NumPy array, a picture of Pillow, or ``sha256:`` and the
    digest of one that was sent before. One that was sent is not sent again while the service knows it.

    Connections are kept: close it, or use it in ``with``. Threads may share it, processes may not.

    Args:
        url: of the service, such as ``http://127.0.0.1:8000``.
        api_key: where the service asks for one.
        timeout_s: seconds without a byte after which an answer is given up.
        patience_s: seconds that one question may wait for a busy service, in sum. It is asked again when its
            ``Retry-After`` says, and not at all where that is later; and where a connection is lost before the answer,
            or a proxy answers that a replica is gone, after pauses that double, in a quarter of them. 0: never.
        start_s: seconds in which to go on asking a service that refuses the connection, or whose model is not ready.

    Every method raises :class:`scs.errors.ServerError` where the service cannot be reached, its subclass
    :class:`scs.errors.ProblemError` with what the service said where it refused, and
    :class:`scs.errors.OptionError` before anything is sent where an option cannot be meant.

    Example:
        >>> client = Client("http://127.0.0.1:8000")
        >>> client.health().ready
        True
        >>> client.predict("docs/pictures/cat.jpg", top_k=1).label
        'cat'
        >>> client.activations("docs/pictures/cat.jpg", layers="stem")["stem"].maps.shape
        (4, 768, 1024)
        >>> client.match("docs/pictures/cat.jpg", "docs/pictures/eye.png")[0].present
        True
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout_s: float = 120.0,
        patience_s: float = 30.0,
        start_s: float = 0.0,
    ) -> None:
        self.url = url.rstrip("/")
        self._rules = Conversation(self.url, headers_for(api_key), timeout_s, patience_s, start_s)
        self._http = httpx.Client(limits=LIMITS)
        self._close = weakref.finalize(self, self._http.close)

    def predict(self, image: Image, **options: Unpack[PredictChoices]) -> Prediction:
        """Classify a picture."""
        return self.predict_all([image], **options)[0]

    def predict_all(self, images: Sequence[Image], **options: Unpack[PredictChoices]) -> list[Prediction]:
        """Classify pictures in one request."""
        return self.ask(questions.predict(images, options))

    def activations(
        self, image: Image, template: Image | None = None, **options: Unpack[ActivationChoices]
    ) -> Activations:
        """Get feature maps of a network's layers for one picture, and where a template or a box occurs in them."""
        return self.ask(questions.activations(image, template, options))

    def match(
        self,
        scene: Image,
        *templates: Image,
        masks: Sequence[Image] = (),
        reference: Image | None = None,
        scores: bool = False,
        **options: Unpack[MatchChoices],
    ) -> Matches:
        """Find templates, or what is in a box, in a scene; with ``scores`` the best match's map of scores comes too."""
        return self.ask(questions.match(scene, templates, masks, reference, scores, options))

    def models(self) -> ModelList:
        """List the models."""
        return self.ask(questions.models())

    def model(self, name: str, version: str | int | None = None) -> ModelDetail:
        """Get a model's card, of the default version unless another is named."""
        return self.ask(questions.model(name, version))

    def kernel(self, name: str, layer: str, channel: int, version: str | int | None = None) -> LayerKernel:
        """Get what a channel of a layer looks for, and how that is laid over the layer's input."""
        return self.ask(questions.kernel(name, layer, channel, version))

    def health(self) -> Ready:
        """Ask whether every model is ready."""
        return self.ask(questions.health())

    def ask(self, question: Question[Answer]) -> Answer:
        """Ask a question of :mod:`service.client.questions`."""
        conversation = self._rules.of(question)
        step = next(conversation)
        try:
            while True:
                if isinstance(step, Wait):
                    time.sleep(step.seconds)
                    step = next(conversation)
                    continue
                try:
                    reply = self._exchange(step)
                except httpx.HTTPError as error:
                    step = conversation.throw(error)
                else:
                    step = conversation.send(reply)
        except StopIteration as end:
            answer: Answer = end.value
            return answer

    def close(self) -> None:
        """Close the connections."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _exchange(self, request: httpx.Request) -> Reply:
        response = self._http.send(request, stream=True)
        with closing(response):
            writer = BodyWriter()
            for piece in response.iter_bytes():
                writer.write(piece)
            return Reply(response.status_code, response.headers, writer.body())
