"""Tasks on slides: tile by tile, each with as much around it as its answer depends on."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from scs.errors import ImageError, OptionError, ScsError
from scs.tiles import Span, spans
from service.api.files import shown_name
from service.map.inputs.find import find
from service.map.inputs.read import FILE
from service.map.listed import Listed
from service.map.run import Run, write_whole
from service.map.slides.slide import Level, Pixels, is_slide, open_level
from service.map.task import Row, failed

TILE = "tile"
FOLDER, MAPS = "slides", ".zarr"
_TABLE = "slides.parquet"


class Field(NamedTuple):
    """What an entry of a map sees along one axis; see :func:`scs.tiles.spans`."""

    size: int
    stride: int
    offset: int


class Slide(NamedTuple):
    """A slide of a run.

    Attributes:
        number: from 0.
        name: for people.
        path: of the file or folder, as the system has it.
        error: why it cannot be opened, where that is so.
    """

    number: int
    name: str
    path: bytes
    error: str | None = None

    @property
    def stem(self) -> str:
        """Name of its files: none is another's, whatever folders the slides are from."""
        return f"{self.number:04d}-{shown_name(Path(os.fsdecode(self.path)).stem)}"


class Tile(NamedTuple):
    """A tile of a slide, ``rows`` by ``columns``, and the first entries that are its own in a map of the whole."""

    slide: Slide
    rows: Span
    columns: Span
    top: int
    left: int


@dataclass(frozen=True)
class Look:
    """How slides are looked at.

    Attributes:
        folder: of the run.
        level: of each slide, 0 the largest.
        background: a tile whose brightest and darkest value, in each channel, lie no further apart is skipped; None
            skips nothing.
        max_pixels: a TIFF with more is a slide.
    """

    folder: Path
    level: int
    background: int | None
    max_pixels: int

    def describe(self) -> dict[str, Any]:
        """Return what another run has to agree in."""
        return {"level": self.level, "background": self.background}

    def opened(self, path: bytes) -> Level:
        """Open a slide at the level that is looked at."""
        return open_level(path, self.level)


class SlideTask(ABC):
    """What the tasks on slides have in common; their rows are tiles."""

    look: Look

    @property
    def columns(self) -> list[pa.Field]:
        """Which slide, from 0; which part of it, in pixels of its largest level; whether that was skipped."""
        box = [pa.field(name, pa.float64()) for name in ("x", "y", "width", "height")]
        return [pa.field("slide", pa.int32()), *box, pa.field("skipped", pa.bool_())]

    @property
    @abstractmethod
    def fields(self) -> tuple[Field, Field]:
        """What an entry of the map sees, down and across."""

    @property
    @abstractmethod
    def side(self) -> int:
        """Pixels along a side that a tile answers for, a multiple of the strides."""

    @abstractmethod
    def begin(self, slide: Slide, level: Level) -> None:
        """Make ready what the tiles of a slide are written to.

        Raises:
            OptionError: the slide is too small, or of another kind than is needed.
        """

    @abstractmethod
    def answer(self, tile: Tile, pixels: Pixels, level: Level) -> Row:
        """Do a tile, and return what its row has beside the columns of every task."""

    @abstractmethod
    def summary(self, slide: Slide, level: Level, rows: pa.Table) -> Row:
        """Write what is made of all tiles of a slide, and return its row in the table of slides."""

    @property
    @abstractmethod
    def summary_columns(self) -> list[pa.Field]:
        """What that row has beside its name, size and numbers of tiles."""

    def listed(self, inputs: Iterable[str], names: BinaryIO, leave_out: Path) -> Iterator[Listed]:
        """Yield the tiles of the slides that inputs stand for.

        Raises:
            OptionError: one of them is no slide, or has not what is asked for.
        """
        for number, found in enumerate(find(inputs, names, leave_out, whole=True)):
            if found.kind != FILE or not is_slide(Path(os.fsdecode(found.path)), self.look.max_pixels):
                raise OptionError(f"{found.name} is no slide; slides and pictures are two runs")
            try:
                level = self.look.opened(found.path)
            except ImageError as error:
                yield Listed(found.name, TILE, found.path, 0, number, str(error))
                continue
            self.begin(Slide(number, found.name, found.path), level)
            rows, columns = self.grid(level)
            for tile in range(len(rows) * len(columns)):
                yield Listed(f"{found.name}[{tile}]", TILE, found.path, tile, number)

    def rows(self, listed: Iterable[tuple[int, Listed]]) -> Iterator[Row]:
        """Yield a row for each tile."""
        for number, each in listed:
            try:
                if each.error is not None:
                    raise ImageError(each.error)
                yield {"number": number, "name": each.name, **self._row(each)}
            except ScsError as error:
                yield {**failed(number, each.name, error), "slide": each.size}

    def finish(self, run: Run) -> None:
        """Write what is made of all tiles, and a table with a row for each slide."""
        if (self.look.folder / FOLDER / _TABLE).exists():
            return
        (self.look.folder / FOLDER).mkdir(exist_ok=True)
        slides: dict[int, Slide] = {}
        for _, each in run.listed(range(run.pictures)):
            if each.size not in slides:
                slides[each.size] = _slide_of(each)
        tiles = ds.dataset(run.rows_folder)
        rows = [self._summary(slide, tiles) for slide in slides.values()]
        names = [("name", pa.string()), ("width", pa.int64()), ("height", pa.int64())]
        counts = [(name, pa.int64()) for name in ("tiles", "skipped", "failed")]
        schema = pa.schema([*names, *counts, *self.summary_columns])
        write_whole(self.look.folder / FOLDER / _TABLE, pa.Table.from_pylist(rows, schema))

    def file_of(self, slide: Slide, ending: str) -> Path:
        """Return the path of a file, or folder, of a slide."""
        return self.look.folder / FOLDER / f"{slide.stem}{ending}"

    def _summary(self, slide: Slide, tiles: ds.Dataset) -> Row:
        rows = tiles.to_table(filter=ds.field("slide") == slide.number, use_threads=False)
        counts = {
            "tiles": rows.num_rows,
            "skipped": rows["skipped"].to_pylist().count(True),
            "failed": rows.num_rows - rows["error"].null_count,
        }
        if slide.error is not None:
            return {"name": slide.name, **counts}
        level = self.look.opened(slide.path)
        size = {"width": round(level.width * level.scale), "height": round(level.height * level.scale)}
        return {"name": slide.name, **size, **counts, **self.summary(slide, level, rows)}

    def _row(self, each: Listed) -> Row:
        level = self.look.opened(each.path)
        tile = self.tile(level, _slide_of(each), each.place)
        down, across = tile.rows.pixels, tile.columns.pixels
        pixels = read_tile(tile, level)
        most = self.look.background
        skipped = most is not None and bool((np.ptp(pixels, axis=(0, 1)) <= most).all())
        scale = level.scale
        return {
            "slide": each.size,
            "x": across.start * scale,
            "y": down.start * scale,
            "width": (across.stop - across.start) * scale,
            "height": (down.stop - down.start) * scale,
            "skipped": skipped,
            **({} if skipped else self.answer(tile, pixels, level)),
        }

    def tile(self, level: Level, slide: Slide, place: int) -> Tile:
        """Return a tile by its place in the grid, row by row."""
        rows, columns = self.grid(level)
        row, column = divmod(place, len(columns))
        down, across = self.fields
        own = row * (self.side // down.stride), column * (self.side // across.stride)
        return Tile(slide, rows[row], columns[column], *own)

    def grid(self, level: Level) -> tuple[list[Span], list[Span]]:
        """Return the tiles of a slide along its height and its width."""
        down, across = self.fields
        return _spans(level.height, down, self.side), _spans(level.width, across, self.side)


def read_tile(tile: Tile, level: Level) -> Pixels:
    """Read a tile, and what is around it, ``(h, w, C)``."""
    down, across = tile.rows.pixels, tile.columns.pixels
    return level.read(down.start, across.start, down.stop - down.start, across.stop - across.start)


@cache
def _spans(length: int, field: Field, side: int) -> list[Span]:
    return list(spans(length, size=field.size, stride=field.stride, offset=field.offset, tile=side))


def _slide_of(tile: Listed) -> Slide:
    name = tile.name if tile.error else tile.name.rpartition("[")[0]
    return Slide(tile.size, name, tile.path, tile.error)
