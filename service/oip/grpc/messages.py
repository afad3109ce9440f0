"""The gRPC messages of the protocol, and their conversion to requests and answers; needs the extra ``grpc``."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from grpc_tools import protoc

from scs.errors import ProtocolError, TooLargeError
from service.oip.datatypes import BYTES, write_byte_strings
from service.oip.grpc.wire import check_fields
from service.oip.messages import InferRequest, InferResponse, InputTensor, RequestedOutput
from service.oip.parameters import check_count, check_dimensions, count, refuse_shared_memory

_FILE = "open_inference.proto"
_SERVICE = "inference.GRPCInferenceService"
_CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}

# As many as JSON may have: making a list of them holds the global interpreter lock (GIL), and so blocks all others.
_MOST_VALUES = 2**21


@cache
def service() -> ServiceDescriptor:
    """Compile the ``.proto`` file, in a few milliseconds, and return its service; no code is generated.

    Its messages are in a pool of their own, so that a client of the same protocol may live in the same process.
    """
    with as_file(files("service.oip.grpc") / _FILE) as source, tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "compiled"
        if protoc.main(["protoc", f"-I{source.parent}", f"--descriptor_set_out={compiled}", _FILE]) != 0:
            raise RuntimeError(f"{_FILE} could not be compiled")
        (file,) = FileDescriptorSet.FromString(compiled.read_bytes()).file
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindServiceByName(_SERVICE)


def add_to_pool(file: bytes) -> None:
    """Describe another file's service by reflection too.

    Args:
        file: a serialised ``FileDescriptorProto``.
    """
    service().file.pool.AddSerializedFile(file)


def response(method: MethodDescriptor, content: Mapping[str, Any]) -> Message:
    """Return a method's response message, with the content of the protocol's JSON."""
    return ParseDict(dict(content), GetMessageClass(method.output_type)())


def parse(sent: bytes, kind: Descriptor) -> Any:
    """Parse a message.

    Raises:
        ProtocolError: these bytes are not one.
        TooLargeError: it has more fields than are parsed.
    """
    check_fields(sent, kind)
    try:
        return GetMessageClass(kind).FromString(sent)
    except DecodeError:
        raise ProtocolError(f"a message needs to be a {kind.name}; these bytes are not") from None


class AskedInference(NamedTuple):
    """What a ``ModelInferRequest`` asks for: of which model and version (empty: the default), and the request."""

    model: str
    version: str
    request: InferRequest


def parse_infer_request(sent: bytes) -> AskedInference:
    """Parse a ``ModelInferRequest`` and read it, as ``parse`` and ``read_infer_request`` do."""
    message = parse(sent, service().methods_by_name["ModelInfer"].input_type)
    return AskedInference(message.model_name, message.model_version, read_infer_request(message))


def read_infer_request(sent: Any) -> InferRequest:
    """Read a ``ModelInferRequest``; its tensors' bytes are not copied.

    Raises:
        ProtocolError: its inputs and their binary data do not belong together, or there are too many of them.
        TooLargeError: more values than are read, except as binary data.
    """
    check_count(len(sent.inputs), "inputs")
    check_count(len(sent.outputs), "outputs")
    inputs = [_input(tensor) for tensor in sent.inputs]
    if sent.raw_input_contents:
        if len(sent.raw_input_contents) != len(inputs):
            raise ProtocolError(
                f"raw_input_contents needs one entry an input; {len(sent.raw_input_contents)} came for {len(inputs)}"
            )
        for tensor, raw in zip(inputs, sent.raw_input_contents, strict=True):
            tensor.raw, tensor.values = memoryview(raw), None
    parameters = _parameters(sent)
    outputs = [_output(output) for output in sent.outputs]
    return InferRequest(inputs, outputs, sent.id, count(parameters, "timeout") or None, binary=True)


def write_infer_response(answer: InferResponse) -> Any:
    """Write a ``ModelInferResponse``, its tensors as raw contents."""
    kind = GetMessageClass(service().methods_by_name["ModelInfer"].output_type)
    written: Any = kind(model_name=answer.model, model_version=answer.version, id=answer.id)
    for output in answer.outputs:
        written.outputs.add(name=output.name, datatype=output.datatype, shape=output.shape)
        written.raw_output_contents.append(output.raw)
    return written


def _input(sent: Any) -> InputTensor:
    refuse_shared_memory(_parameters(sent))
    check_dimensions(sent.name, len(sent.shape))
    if any(size < 0 for size in sent.shape):
        raise ProtocolError(f"the shape of '{sent.name[:60]}' needs whole numbers; {list(sent.shape[:6])} came")
    tensor = InputTensor(sent.name, sent.datatype, tuple(sent.shape))
    contents = getattr(sent.contents, _CONTENTS.get(sent.datatype, "bytes_contents"))
    if len(contents) > _MOST_VALUES:
        raise TooLargeError(f"contents may hold {_MOST_VALUES} values; {len(contents)} came; send raw_input_contents")
    values = list(contents)
    if sent.datatype == BYTES:
        tensor.raw = memoryview(write_byte_strings(values))
    else:
        tensor.values = values
    return tensor


def _output(sent: Any) -> RequestedOutput:
    parameters = _parameters(sent)
    refuse_shared_memory(parameters)
    return RequestedOutput(sent.name, binary=True, classification=count(parameters, "classification") or 0)


def _parameters(sent: Any) -> dict[str, Any]:
    chosen = {name: value.WhichOneof("parameter_choice") for name, value in sent.parameters.items()}
    return {name: getattr(sent.parameters[name], choice) for name, choice in chosen.items() if choice}
