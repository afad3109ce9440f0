"""The list of a run's pictures: where each lies, in a file of Arrow's that is mapped into memory, not read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

_BATCH = 8192  # pictures; all batches but the last are of this size, so that any picture is found at once
_SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("kind", pa.string()),
        ("path", pa.binary()),
        ("place", pa.int64()),
        ("size", pa.int64()),
        ("error", pa.string()),
    ]
)


class Listed(NamedTuple):
    """A picture of a run, not read yet.

    Attributes:
        name: for people, Unicode.
        kind: of input that it lies in, a key of :data:`service.map.inputs.read.READERS`.
        path: of the file or folder, as the system has it.
        place: in it: the offset in a tar in bytes, the row of a Parquet file, the number in a Zarr array.
        size: bytes in a tar.
        error: why it cannot be read, where that is known already.
    """

    name: str
    kind: str
    path: bytes
    place: int = 0
    size: int = 0
    error: str | None = None


def write_list(path: Path, pictures: Iterable[Listed]) -> int:
    """Write the list of a run's pictures; return how many there are. The file is there whole or not at all."""
    count = 0
    unfinished = path.with_name(path.name + ".tmp")
    with pa.OSFile(str(unfinished), "wb") as file, pa.ipc.new_file(file, _SCHEMA) as writer:
        remaining = iter(pictures)
        while some := list(islice(remaining, _BATCH)):
            columns = [
                pa.array(column, kind) for column, kind in zip(zip(*some, strict=True), _SCHEMA.types, strict=True)
            ]
            writer.write_batch(pa.record_batch(columns, schema=_SCHEMA))
            count += len(some)
    os.replace(unfinished, path)
    return count


def read_list(path: Path, numbers: range) -> Iterator[tuple[int, Listed]]:
    """Yield some pictures of a list, with their numbers from 0."""
    with pa.memory_map(str(path)) as file:
        reader = pa.ipc.open_file(file)
        for batch in range(numbers.start // _BATCH, -(-numbers.stop // _BATCH)):
            first = batch * _BATCH
            start, stop = max(numbers.start - first, 0), min(numbers.stop - first, _BATCH)
            rows = reader.get_batch(batch).slice(start, stop - start).to_pylist()
            yield from ((first + start + i, Listed(**row)) for i, row in enumerate(rows))
