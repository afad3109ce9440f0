"""The client of the service for ``asyncio``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
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


class AsyncClient:
    """A client of a running service for ``asyncio``; otherwise as :class:`Client`.

    Connections are kept: close it, or use it in ``async with``. Questions that are asked together are sent together.

    Args:
        url: of the service, such as ``http://127.0.0.1:8000``.
        api_key: as of ``Client``, like all that follow.
        timeout_s: seconds without a byte after which an answer is given up.
        patience_s: seconds that one question may wait for a busy service.
        start_s: seconds in which to go on asking a service that is starting.

    Its methods are those of ``Client``, awaited, and raise the same.

    Example:
        >>> import asyncio
        >>> async def labels(*pictures):
        ...     async with AsyncClient("http://127.0.0.1:8000") as client:
        ...         answers = await asyncio.gather(*(client.predict(each) for each in pictures))
        ...     return [answer.label for answer in answers]
        >>> asyncio.run(labels("docs/pictures/cat.jpg", "docs/pictures/eye.png"))
        ['cat', 'bird']
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
        self._http = httpx.AsyncClient(limits=LIMITS)

    async def predict(self, image: Image, **options: Unpack[PredictChoices]) -> Prediction:
        """Classify a picture."""
        return (await self.predict_all([image], **options))[0]

    async def predict_all(self, images: Sequence[Image], **options: Unpack[PredictChoices]) -> list[Prediction]:
        """Classify pictures in one request."""
        return await self.ask(questions.predict(images, options))

    async def activations(
        self, image: Image, template: Image | None = None, **options: Unpack[ActivationChoices]
    ) -> Activations:
        """Get feature maps of a network's layers for one picture, and where a template or a box occurs in them."""
        return await self.ask(questions.activations(image, template, options))

    async def match(
        self,
        scene: Image,
        *templates: Image,
        masks: Sequence[Image] = (),
        reference: Image | None = None,
        scores: bool = False,
        **options: Unpack[MatchChoices],
    ) -> Matches:
        """Find templates, or what is in a box, in a scene; with ``scores`` the best match's map of scores comes too."""
        return await self.ask(questions.match(scene, templates, masks, reference, scores, options))

    async def models(self) -> ModelList:
        """List the models."""
        return await self.ask(questions.models())

    async def model(self, name: str, version: str | int | None = None) -> ModelDetail:
        """Get a model's card, of the default version unless another is named."""
        return await self.ask(questions.model(name, version))

    async def kernel(self, name: str, layer: str, channel: int, version: str | int | None = None) -> LayerKernel:
        """Get what a channel of a layer looks for, and how that is laid over the layer's input."""
        return await self.ask(questions.kernel(name, layer, channel, version))

    async def health(self) -> Ready:
        """Ask whether every model is ready."""
        return await self.ask(questions.health())

    async def ask(self, question: Question[Answer]) -> Answer:
        """Ask a question of :mod:`service.client.questions`."""
        conversation = self._rules.of(question)
        step = next(conversation)
        try:
            while True:
                if isinstance(step, Wait):
                    await asyncio.sleep(step.seconds)
                    step = next(conversation)
                    continue
                try:
                    reply = await self._exchange(step)
                except httpx.HTTPError as error:
                    step = conversation.throw(error)
                else:
                    step = conversation.send(reply)
        except StopIteration as end:
            answer: Answer = end.value
            return answer

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _exchange(self, request: httpx.Request) -> Reply:
        response = await self._http.send(request, stream=True)
        try:
            writer = BodyWriter()
            async for piece in response.aiter_bytes():
                writer.write(piece)
            return Reply(response.status_code, response.headers, writer.body())
        finally:
            await response.aclose()
