"""The fields of a message, counted before it is parsed: one of two bytes may take a hundred in memory."""

from __future__ import annotations

from google.protobuf.descriptor import Descriptor

from scs.errors import TooLargeError

MOST_FIELDS = 2**16  # of a message and of those in it; numbers of a packed field are one
_VARINT, _EIGHT, _DELIMITED, _FOUR = 0, 1, 2, 5
_FIXED = {_EIGHT: 8, _FOUR: 4}


def check_fields(sent: bytes, kind: Descriptor) -> None:
    """Refuse a message with more fields than are parsed; what is no message at all is left to the parser.

    Raises:
        TooLargeError: it has more than ``MOST_FIELDS``.
    """
    pending, count = [(0, len(sent), kind)], 0
    while pending:
        place, end, described = pending.pop()
        while place < end:
            count += 1
            if count > MOST_FIELDS:
                raise TooLargeError(f"a message may have {MOST_FIELDS} fields, those within it counted; more came")
            tag, place = _varint(sent, place, end)
            if tag & 7 == _DELIMITED:
                length, place = _varint(sent, place, end)
                field = described.fields_by_number.get(tag >> 3)
                if field is not None and field.message_type is not None:
                    pending.append((place, min(place + length, end), field.message_type))
                place += length
            elif tag & 7 == _VARINT:
                _, place = _varint(sent, place, end)
            else:
                place += _FIXED.get(tag & 7, 0)


def _varint(sent: bytes, place: int, end: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, lowest first, and the place behind it."""
    value = shift = 0
    while place < end:
        byte = sent[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128 or shift >= 70:
            break
    return value, place
