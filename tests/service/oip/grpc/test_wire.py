import pytest
from google.protobuf.message_factory import GetMessageClass

from scs.errors import ProtocolError, TooLargeError
from service.oip.grpc import messages, wire

KIND = messages.service().methods_by_name["ModelInfer"].input_type
EMPTY = b"\0"


def field(number: int, content: bytes) -> bytes:
    """A field that has a length."""
    length, sizes = len(content), bytearray()
    while length > 127:
        sizes.append(length & 127 | 128)
        length >>= 7
    return bytes([number << 3 | 2, *sizes, length]) + content


def test_fields_are_counted_through_all_messages_within(monkeypatch):
    sent = GetMessageClass(KIND)(model_name="a", inputs=[{"name": "image", "shape": [1, 2, 3]}] * 3)
    sent.inputs[0].contents.bytes_contents.extend([b"x"] * 10)
    fields = 1 + 3 + 3 * 2 + 1 + 10
    monkeypatch.setattr(wire, "MOST_FIELDS", fields)
    wire.check_fields(sent.SerializeToString(), KIND)
    monkeypatch.setattr(wire, "MOST_FIELDS", fields - 1)
    with pytest.raises(TooLargeError, match=f"may have {fields - 1} fields"):
        wire.check_fields(sent.SerializeToString(), KIND)


MANY = wire.MOST_FIELDS + 1


@pytest.mark.parametrize(
    "sent",
    [
        field(5, b"") * MANY,
        field(6, b"") * MANY,
        field(4, b"") * MANY,
        field(7, b"") * MANY,
        field(15, b"") * MANY,
        field(5, field(4, b"") * MANY),
        field(5, field(5, field(8, b"") * MANY)),
        field(5, bytes([3 << 3, 1]) * MANY),
    ],
    ids=["inputs", "outputs", "parameters", "raw", "unknown", "parameters of an input", "strings", "a loose shape"],
)
def test_a_message_of_many_fields_is_refused_before_it_is_parsed(monkeypatch, sent):
    monkeypatch.setattr(messages, "GetMessageClass", None)  # would raise
    with pytest.raises(TooLargeError, match=f"may have {wire.MOST_FIELDS} fields"):
        messages.parse(sent, KIND)


def test_a_packed_field_is_one():
    numbers = field(5, field(5, field(4, bytes(3_000_000))))
    assert len(messages.parse(numbers, KIND).inputs[0].contents.uint_contents) == 3_000_000
    with pytest.raises(TooLargeError, match="may hold 2097152 values; 3000000 came; send raw_input_contents"):
        messages.parse_infer_request(field(5, field(2, b"UINT8") + field(5, field(4, bytes(3_000_000)))))


@pytest.mark.parametrize("sent", [b"\xff" * 50, b"\x2a\xff", field(5, b"\x0a\x7f"), b"\x2b" * 500, b"\x00\x00"])
def test_what_is_no_message_is_refused_in_a_sentence(sent):
    with pytest.raises(ProtocolError, match="needs to be a ModelInferRequest"):
        messages.parse(sent, KIND)
