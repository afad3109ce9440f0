"""The folder of a run: what it is a run of, the list of its pictures, and the parts that are done."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scs.errors import OptionError, RunError
from service.api.files import shown_name
from service.map.listed import Listed, read_list

LIST_FILE = "pictures.arrow"
_RUN_FILE, _PARTS, _LOCK = "run.json", "parts", "run.lock"
_UNFINISHED = ".tmp"
_BEGUN = {
    LIST_FILE,
    LIST_FILE + _UNFINISHED,
    _RUN_FILE + _UNFINISHED,
    _LOCK,
    _PARTS,
    "slides",
}  # by a run that got no further


@dataclass(frozen=True)
class Run:
    """A run that has its list.

    Attributes:
        folder: what it writes to.
        pictures: how many there are in the list.
        part: pictures of a part; the last part may have fewer.
    """

    folder: Path
    pictures: int
    part: int

    @property
    def rows_folder(self) -> Path:
        """The folder of the rows, a file of Parquet for each part."""
        return self.folder / _PARTS

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return -(-self.pictures // self.part)

    def numbers(self, part: int) -> range:
        """Return the numbers of a part's pictures, from 0."""
        return range(part * self.part, min((part + 1) * self.part, self.pictures))

    def listed(self, numbers: range) -> Iterator[tuple[int, Listed]]:
        """Yield some pictures, with their numbers."""
        return read_list(self.folder / LIST_FILE, numbers)

    def pending(self) -> list[int]:
        """Return the parts that are not done, and clear away what killed processes left of them."""
        for unfinished in self.rows_folder.glob(f".*{_UNFINISHED}"):
            unfinished.unlink(missing_ok=True)
        done = {file.name for file in self.rows_folder.iterdir()}
        return [part for part in range(self.parts) if _part_name(part) not in done]

    def write_part(self, part: int, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> None:
        """Write the rows of a part; the file is there whole or not at all.

        Raises:
            RunError: there is no room, or the folder cannot be written to.
        """
        path = self.rows_folder / _part_name(part)
        with writing(self.folder):
            write_whole(path, pa.Table.from_pylist(list(rows), schema))

    def failures(self) -> Iterator[tuple[str, str]]:
        """Yield the name of each picture that failed, and why."""
        for part in range(self.parts):
            path = self.rows_folder / _part_name(part)
            with pq.ParquetFile(path) as file:
                if not _failed(file.metadata):
                    continue
                for row in file.read(columns=["name", "error"], use_threads=False).to_pylist():
                    if row["error"] is not None:
                        yield row["name"], row["error"]

    def counts(self) -> tuple[int, int]:
        """Return how many rows there are, and how many of them failed."""
        rows = failed = 0
        for part in range(self.parts):
            metadata = pq.read_metadata(self.rows_folder / _part_name(part))
            rows, failed = rows + metadata.num_rows, failed + _failed(metadata)
        return rows, failed


def write_whole(path: Path, table: pa.Table) -> None:
    """Write a Parquet file that is there whole or not at all, even if this process is killed or the machine fails."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}{_UNFINISHED}")
    try:
        with unfinished.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


def open_run(folder: Path, described: dict[str, Any]) -> Run | None:
    """Open the run of a folder, if it has got as far as having its list.

    Args:
        folder: which may not be there yet.
        described: what it shall be a run of.

    Raises:
        OptionError: the folder has something else in it, or a run of something else.
    """
    if folder.exists() and not folder.is_dir():
        raise OptionError(f"--out is a folder; {shown_name(str(folder))} is a file")
    try:
        stored = json.loads((folder / _RUN_FILE).read_text(encoding="utf-8"))
        run = Run(folder, stored.pop("pictures"), stored.pop("part"))
    except FileNotFoundError:
        others = [name for name in os.listdir(folder) if name not in _BEGUN] if folder.exists() else []
        if others:
            raise OptionError(
                f"--out is a new folder, or that of the same run; {shown_name(str(folder))} has other files in it, "
                f"such as {shown_name(min(others))}"
            ) from None
        return None
    except (ValueError, KeyError):
        raise OptionError(f"{shown_name(str(folder))} has a {_RUN_FILE} that is no run's; name another --out") from None
    wanted = json.loads(json.dumps(described))
    for key in wanted.keys() | stored.keys():
        if stored.get(key) != wanted.get(key):
            there, here = (_shown(each.get(key)) for each in (stored, wanted))
            raise OptionError(
                f"{shown_name(str(folder))} has another run: its {key} is {there}, not {here}; name another --out"
            )
    return run


def begin_run(folder: Path, described: dict[str, Any], pictures: int, part: int) -> Run:
    """Begin a run, once its list is written."""
    (folder / _PARTS).mkdir(exist_ok=True)
    unfinished = folder / (_RUN_FILE + _UNFINISHED)
    unfinished.write_text(json.dumps({**described, "pictures": pictures, "part": part}, indent=2), encoding="utf-8")
    os.replace(unfinished, folder / _RUN_FILE)
    return Run(folder, pictures, part)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder, and hold it for this process.

    Raises:
        RunError: another process has it, or it cannot be made or written to.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / _LOCK).open("w")
    with lock:
        try:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # another system
            pass
        except OSError:
            raise RunError(f"another process is at work on {shown_name(str(folder))}") from None
        yield


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say why a run's folder cannot be written to.

    Raises:
        RunError: it cannot; what is there already stays, and the same command goes on with it.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(f"{shown_name(str(folder))} cannot be written to: {reason}; what is done there stays") from None


def _part_name(part: int) -> str:
    return f"part-{part:06d}.parquet"


def _failed(metadata: pq.FileMetaData) -> int:
    """How many rows of a part have an error."""
    column = metadata.schema.names.index("error")
    groups = (metadata.row_group(group) for group in range(metadata.num_row_groups))
    return sum(group.num_rows - group.column(column).statistics.null_count for group in groups)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 100 else f"{text[:100]}…"
