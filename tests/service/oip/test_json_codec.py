import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scs.errors import ProtocolError, TooLargeError
from service.oip.datatypes import read_byte_strings
from service.oip.json_codec import MOST_JSON, read_request, write_response
from service.oip.messages import InferResponse, OutputTensor


def body(raw: bytes | None = None, **changes) -> tuple[bytes, int | None]:
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 2, 2, 1]}
    tensor |= {"data": [1, 2, 3, 4]} if raw is None else {"parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [tensor | changes.pop("tensor", {})]} | changes).encode()
    return (head, None) if raw is None else (head + raw, len(head))


def test_a_request_in_json_is_read():
    request = read_request(*body(id="seven", parameters={"timeout": 5}))
    (tensor,) = request.inputs
    assert (tensor.name, tensor.datatype, tensor.shape, tensor.values) == ("image", "UINT8", (1, 2, 2, 1), [1, 2, 3, 4])
    assert (request.id, request.timeout_us, request.outputs, request.binary) == ("seven", 5, [], False)


def test_null_stands_for_what_is_left_out():
    request = read_request(*body(id=None, outputs=None, parameters=None, tensor={"parameters": None}))
    assert (request.id, request.outputs) == ("", [])


def test_binary_data_is_read_where_it_lies():
    sent, length = body(b"abcd")
    (tensor,) = read_request(sent, length).inputs
    assert tensor.raw == b"abcd" and tensor.raw.obj is sent


def test_binary_data_goes_to_its_input_by_its_size():
    inputs = [{"name": n, "datatype": "UINT8", "shape": [s], "parameters": {"binary_data_size": s}} for n, s in
              (("a", 2), ("b", 0), ("c", 3))]  # fmt: skip
    head = json.dumps({"inputs": inputs}).encode()
    assert [bytes(t.raw) for t in read_request(head + b"aaccc", len(head)).inputs] == [b"aa", b"", b"ccc"]


def test_outputs_are_binary_where_they_or_all_are_asked_for_so():
    outputs = [{"name": "a"}, {"name": "b", "parameters": {"binary_data": False, "classification": 3}}]
    request = read_request(*body(outputs=outputs, parameters={"binary_data_output": True}))
    assert request.binary and [(o.binary, o.classification) for o in request.outputs] == [(True, 0), (False, 3)]


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        (b"", "needs to be JSON"),
        (b"\xff", "needs to be JSON"),
        (b"[" * 5000, "needs to be JSON"),
        (b"[]", "the request needs to be an object"),
        (b"{}", "inputs needs to be a list; nothing came"),
        (b'{"inputs": {}}', "inputs needs to be a list"),
        (b'{"inputs": [1]}', "an input needs to be an object; 1 came"),
        (body(tensor={"name": 5})[0], "name needs to be a string; 5 came"),
        (body(tensor={"datatype": None})[0], "datatype needs to be a string"),
        (body(tensor={"shape": "4"})[0], "the shape of 'image' needs to be a list"),
        (body(tensor={"shape": [1, -1]})[0], "the shape of 'image' needs whole numbers"),
        (body(tensor={"shape": [True]})[0], "the shape of 'image' needs whole numbers"),
        (body(tensor={"shape": [1.0]})[0], "the shape of 'image' needs whole numbers"),
        (body(tensor={"data": 5})[0], "data of 'image', or binary_data_size, needs to be a list; 5 came"),
        (body(tensor={"parameters": []})[0], "parameters needs to be an object"),
        (body(tensor={"parameters": {"binary_data_size": -1}})[0], "binary_data_size needs to be a whole number"),
        (body(tensor={"parameters": {"binary_data_size": 0}})[0], "both came"),
        (body(tensor={"parameters": {"shared_memory_region": "a"}})[0], "shared memory is not read here"),
        (body(outputs=5)[0], "outputs needs to be a list"),
        (body(outputs=[{}])[0], "name needs to be a string; nothing came"),
        (body(outputs=[{"name": "a", "parameters": {"binary_data": 1}}])[0], "binary_data needs to be true or false"),
        (body(outputs=[{"name": "a", "parameters": {"classification": "3"}}])[0], "classification needs to be a whole"),
        (body(id=5)[0], "id needs to be a string; 5 came"),
        (body(parameters={"timeout": "soon"})[0], "timeout needs to be a whole number; 'soon' came"),
    ],
)
def test_what_is_not_a_request_is_refused_in_a_sentence(sent, sentence):
    with pytest.raises(ProtocolError, match=sentence):
        read_request(sent)


def test_binary_data_of_another_size_than_was_said_is_refused():
    sent, length = body(b"abcd")
    with pytest.raises(ProtocolError, match="image has 4 bytes of binary data; 3 are left"):
        read_request(sent[:-1], length)
    with pytest.raises(ProtocolError, match="1 bytes of binary data belong to no input"):
        read_request(sent + b"e", length)
    with pytest.raises(ProtocolError, match="Inference-Header-Content-Length is 999"):
        read_request(sent, 999)


def test_more_json_than_keeps_others_waiting_is_refused_and_binary_data_is_not():
    head, _ = body()
    with pytest.raises(TooLargeError, match="may have 4194304 bytes; 4194305 came; send binary data"):
        read_request(head + b" " * (MOST_JSON + 1 - len(head)))
    sent, length = body(bytes(MOST_JSON + 1))
    assert len(read_request(sent, length).inputs[0].raw) == MOST_JSON + 1


@given(st.binary(max_size=100), st.none() | st.integers(0, 120))
def test_any_bytes_are_a_request_or_refused(sent, length):
    with contextlib.suppress(ProtocolError):
        read_request(sent, length)


@given(
    st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3), min_size=1),
    st.booleans(),
    st.text(max_size=5),
)
def test_scores_come_back_as_they_were_written(rows, binary, name):
    logits = np.array(rows, np.float32)
    sent, length = write_response(InferResponse("m", "1", name, [OutputTensor("logits", logits.shape, logits, binary)]))
    answer = json.loads(sent[:length])
    (output,) = answer["outputs"]
    assert (answer["model_name"], answer["model_version"], answer.get("id", "")) == ("m", "1", name)
    assert (output["name"], output["datatype"], output["shape"]) == ("logits", "FP32", list(logits.shape))
    if binary:
        assert output["parameters"] == {"binary_data_size": len(sent) - length}
        back = np.frombuffer(sent[length:], np.float32)
    else:
        assert length is None
        back = np.array(output["data"], np.float32)
    assert back.tobytes() == logits.tobytes()


def test_classes_are_strings_in_json_and_byte_strings_in_binary_data():
    classes = [b"0.900000:0:disc", b"0.100000:2:cross"]
    tensors = [OutputTensor("a", (1, 2), classes), OutputTensor("b", (1, 2), classes, binary=True)]
    sent, length = write_response(InferResponse("m", "1", "", tensors))
    first, second = json.loads(sent[:length])["outputs"]
    assert (first["datatype"], first["data"]) == ("BYTES", ["0.900000:0:disc", "0.100000:2:cross"])
    assert second["datatype"] == "BYTES" and read_byte_strings(memoryview(sent)[length:], 2) == classes
