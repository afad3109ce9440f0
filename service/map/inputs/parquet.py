"""Pictures in a column of a Parquet file: bytes, or structs with ``bytes`` in them, as Hugging Face has."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from scs.errors import ImageError, OptionError
from service.api.files import shown_name
from service.map.listed import Listed

KIND = "parquet"
_USUAL = ("image", "img", "picture", "jpg", "png", "bytes")


def list_parquet(path: Path) -> Iterator[Listed]:
    """Yield the rows of a file, which are its pictures.

    Raises:
        OptionError: it is no Parquet file, or has not one column of pictures.
    """
    name, stored = shown_name(str(path)), os.fsencode(path.absolute())
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise OptionError(f"{name} needs to be a whole Parquet file: {str(error).partition('.')[0]}") from None
    with file:
        _column(name, file.schema_arrow)
        for row in range(file.metadata.num_rows):
            yield Listed(f"{name}[{row}]", KIND, stored, row)


def read_parquet(listed: Listed) -> bytes:
    """Read a picture of a row.

    Raises:
        ImageError: there is none in it.
        OSError: the file cannot be read.
    """
    ends = _ends(listed.path)
    group = bisect_right(ends, listed.place)
    value = _pictures(listed.path, group)[listed.place - (ends[group - 1] if group else 0)].as_py()
    content = value["bytes"] if isinstance(value, dict) else value
    if content is None:
        raise ImageError("a picture was needed but the row has none")
    return bytes(content)


@lru_cache(8)
def _ends(path: bytes) -> list[int]:
    """Number of rows up to the end of each row group."""
    metadata = pq.read_metadata(os.fsdecode(path))
    return list(accumulate(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)))


@lru_cache(1)  # the rows of a part follow each other
def _pictures(path: bytes, group: int) -> pa.ChunkedArray:
    with pq.ParquetFile(os.fsdecode(path)) as file:
        column = _column(os.fsdecode(path), file.schema_arrow)
        return file.read_row_group(group, columns=[column], use_threads=False).column(0)


def _column(name: str, schema: pa.Schema) -> str:
    able = [field.name for field in schema if _holds_bytes(field.type)]
    usual = [column for column in _USUAL if column in able]
    if len(able) != 1 and not usual:
        there = ", ".join(able) or "none of bytes"
        raise OptionError(f"{name} needs one column of pictures, or one that is called image; there are {there}")
    return usual[0] if usual else able[0]


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_bytes(kind.field("bytes").type)
    return kind in (pa.binary(), pa.large_binary(), pa.binary_view())
