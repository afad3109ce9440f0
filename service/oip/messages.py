"""The request and the answer of an inference, the same for HTTP and gRPC."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from models.runtime.load import Array
from service.inference.event_loop import SMALL_LIST
from service.oip.datatypes import write_byte_strings


@dataclass(slots=True)
class InputTensor:
    """One input of a request; its values are not checked yet.

    Attributes:
        name: of the model's input.
        datatype: as the protocol calls it, such as ``UINT8``.
        shape: its dimensions, each a whole number.
        raw: its values as binary data, or None.
        values: otherwise its values as a list, nested to the shape or flat.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    raw: memoryview | None = None
    values: list[Any] | None = None


@dataclass(slots=True)
class RequestedOutput:
    """One output that a request asks for.

    Attributes:
        name: of the model's output.
        binary: whether it shall come as binary data.
        classification: how many classes shall come in place of the scores; 0 for the scores.
    """

    name: str
    binary: bool = False
    classification: int = 0


@dataclass(slots=True)
class InferRequest:
    """A request for an inference.

    Attributes:
        inputs: the tensors.
        outputs: those that are wanted; none stands for every one.
        id: what the answer shall carry too; empty for nothing.
        timeout_us: microseconds after which the answer is of no use, or None.
        binary: whether outputs come as binary data where they are not named.
    """

    inputs: list[InputTensor]
    outputs: list[RequestedOutput] = field(default_factory=list)
    id: str = ""
    timeout_us: int | None = None
    binary: bool = False


@dataclass(slots=True)
class OutputTensor:
    """One output: FP32 scores, or BYTES where classes were asked for."""

    name: str
    shape: tuple[int, ...]
    values: Array | list[bytes]
    binary: bool = False

    @property
    def raw(self) -> bytes:
        """Its values as binary data."""
        return write_byte_strings(self.values) if isinstance(self.values, list) else self.values.tobytes()

    @property
    def datatype(self) -> str:
        """The datatype, as the protocol calls it."""
        return "BYTES" if isinstance(self.values, list) else "FP32"


@dataclass(slots=True)
class InferResponse:
    """The answer to an inference request."""

    model: str
    version: str
    id: str
    outputs: list[OutputTensor]

    @property
    def is_small(self) -> bool:
        """Whether it may be written on the event loop."""
        return sum(math.prod(output.shape) for output in self.outputs) <= SMALL_LIST
