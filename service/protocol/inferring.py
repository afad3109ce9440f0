"""From a request to its answer."""

from __future__ import annotations

import numpy as np
from starlette.concurrency import run_in_threadpool

from models.card import ModelCard
from models.runtime import Array, Images
from scs.errors import ProtocolError
from service.model_store import LoadedModel
from service.protocol.messages import InferRequest, InferResponse, OutputTensor, RequestedOutput
from service.protocol.metadata import OUTPUT


async def infer(model: LoadedModel, request: InferRequest, images: list[Images]) -> InferResponse:
    """Run a network on the images of a request.

    Raises:
        ProtocolError: an output is asked for that the network does not have.
    """
    wanted = request.outputs or [RequestedOutput(OUTPUT, request.binary)]
    for output in wanted:
        if output.name != OUTPUT:
            raise ProtocolError(f"the network has one output, {OUTPUT}; '{output.name[:60]}' was asked for")
    logits = np.concatenate([await _logits(model, batch) for batch in images])
    outputs = [_output(output, logits, model.card) for output in wanted]
    return InferResponse(model.card.name, str(model.card.version), request.id, outputs)


async def _logits(model: LoadedModel, images: Images) -> Array:
    return await run_in_threadpool(model.runtime.logits, images)


def _output(wanted: RequestedOutput, logits: Array, card: ModelCard) -> OutputTensor:
    if not wanted.classification:
        return OutputTensor(wanted.name, logits.shape, logits, wanted.binary)
    count = min(wanted.classification, len(card.labels))
    strings = [string for row in logits for string in _classes(row, card, count)]
    return OutputTensor(wanted.name, (len(logits), count), strings, wanted.binary)


def _classes(scores: Array, card: ModelCard, count: int) -> list[bytes]:
    """The best classes as ``score:index:label``, best first."""
    best = np.argsort(-scores, kind="stable")[:count]
    return [f"{scores[i]:f}:{i}:{card.labels[i]}".encode() for i in best]
