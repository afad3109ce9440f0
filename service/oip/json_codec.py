"""Requests and answers as JSON, with tensors in it or as binary data behind it."""

from __future__ import annotations

from typing import Any

import orjson

from scs.errors import ProtocolError, TooLargeError
from service.oip.messages import InferRequest, InferResponse, InputTensor, OutputTensor, RequestedOutput
from service.oip.parameters import check_count, check_dimensions, count, flag, is_count, refuse_shared_memory, shown

# Parsing JSON holds the global interpreter lock (GIL): more would block all other requests, and take 40 times as much
# memory.
MOST_JSON = 4 * 2**20


def read_request(body: bytes, json_length: int | None = None) -> InferRequest:
    """Read an inference request: JSON, and the binary data behind it.

    Args:
        body: JSON, and behind it the binary data of those inputs that have a ``binary_data_size``.
        json_length: bytes of the JSON; None where there is nothing behind it.

    Raises:
        ProtocolError: this is not a request; the message names the first thing that is wrong.
        TooLargeError: more JSON than is read.
    """
    whole = memoryview(body)
    if json_length is not None and json_length > len(body):
        raise ProtocolError(f"Inference-Header-Content-Length is {json_length}; {len(body)} bytes came")
    behind = whole[len(body) if json_length is None else json_length :]
    if len(body) - len(behind) > MOST_JSON:
        raise TooLargeError(
            f"the JSON of a request may have {MOST_JSON} bytes; {len(body) - len(behind)} came; send binary data"
        )
    sent = _object(_parsed(whole[: len(body) - len(behind)]), "the request")
    inputs = []
    for value in _tensors(sent.get("inputs"), "inputs"):
        tensor, size = _input(_object(value, "an input"))
        if size is not None:
            if size > len(behind):
                raise ProtocolError(f"{tensor.name} has {size} bytes of binary data; {len(behind)} are left")
            tensor.raw, behind = behind[:size], behind[size:]
        inputs.append(tensor)
    if len(behind):
        raise ProtocolError(f"{len(behind)} bytes of binary data belong to no input")
    return _request(sent, inputs)


def write_response(response: InferResponse) -> tuple[bytes, int | None]:
    """Write the answer to an inference request: JSON, and the binary data behind it.

    Returns:
        The body, and how many bytes of it are JSON where binary data follows, else None.
    """
    behind: list[bytes] = []
    outputs = []
    for output in response.outputs:
        written: dict[str, Any] = {"name": output.name, "datatype": output.datatype, "shape": output.shape}
        if output.binary:
            data = output.raw
            written["parameters"] = {"binary_data_size": len(data)}
            behind.append(data)
        else:
            written["data"] = _values(output)
        outputs.append(written)
    answer: dict[str, Any] = {"model_name": response.model, "model_version": response.version, "outputs": outputs}
    if response.id:
        answer["id"] = response.id
    head = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    return (b"".join([head, *behind]), len(head)) if behind else (head, None)


def _parsed(text: memoryview) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ProtocolError(f"the request needs to be JSON: {error}") from None


def _request(sent: dict[str, Any], inputs: list[InputTensor]) -> InferRequest:
    parameters = _parameters(sent)
    binary = flag(parameters, "binary_data_output")
    timeout = count(parameters, "timeout")
    name = _or(sent.get("id"), "")
    if not isinstance(name, str):
        raise ProtocolError(f"id needs to be a string; {shown(name)} came")
    outputs = [
        _output(_object(value, "an output"), binary) for value in _tensors(_or(sent.get("outputs"), []), "outputs")
    ]
    return InferRequest(inputs, outputs, name, timeout or None, binary)


def _input(sent: dict[str, Any]) -> tuple[InputTensor, int | None]:
    name, datatype = _string(sent, "name"), _string(sent, "datatype")
    shape = _list(sent.get("shape"), f"the shape of {shown(name)}")
    check_dimensions(name, len(shape))
    if not all(map(is_count, shape)):
        raise ProtocolError(f"the shape of {shown(name)} needs whole numbers; {shown(shape)} came")
    parameters = _parameters(sent)
    size = count(parameters, "binary_data_size")
    values = None if size is not None else _list(sent.get("data"), f"data of {shown(name)}, or binary_data_size,")
    if size is not None and "data" in sent:
        raise ProtocolError(f"{shown(name)} needs data or binary_data_size; both came")
    return InputTensor(name, datatype, tuple(shape), values=values), size


def _output(sent: dict[str, Any], binary: bool) -> RequestedOutput:
    parameters = _parameters(sent)
    return RequestedOutput(
        _string(sent, "name"), flag(parameters, "binary_data", binary), count(parameters, "classification") or 0
    )


def _values(output: OutputTensor) -> Any:
    if isinstance(output.values, list):
        return [string.decode() for string in output.values]
    return output.values.reshape(-1)


def _parameters(sent: dict[str, Any]) -> dict[str, Any]:
    parameters = _object(_or(sent.get("parameters"), {}), "parameters")
    refuse_shared_memory(parameters)
    return parameters


def _or(value: Any, otherwise: Any) -> Any:
    """Return a value, or its default where it is None: some clients write null for what they leave out."""
    return otherwise if value is None else value


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ProtocolError(f"{what} needs to be an object; {shown(value)} came")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise ProtocolError(f"{what} needs to be a list; {shown(value)} came")
    return value


def _tensors(value: Any, what: str) -> list[Any]:
    tensors = _list(value, what)
    check_count(len(tensors), what)
    return tensors


def _string(sent: dict[str, Any], key: str) -> str:
    value = sent.get(key)
    if not isinstance(value, str):
        raise ProtocolError(f"{key} needs to be a string; {shown(value)} came")
    return value
