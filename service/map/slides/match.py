"""Templates found on slides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scs.errors import OptionError
from service.api.files import MatchUpload, NamedBytes
from service.map.match import MatchTask
from service.map.slides.geojson import to_geojson
from service.map.slides.pyramid import create_maps, finish_pyramid, write_tile
from service.map.slides.slide import Level, Pixels
from service.map.slides.task import MAPS, Field, Look, Slide, SlideTask, Tile
from service.map.task import Row, Step
from service.pictures.npy import to_npy
from service.tasks.match.pictures import MatchPictures, decode_pictures
from service.tasks.match.search import search_for
from service.tasks.preload import warm_matching

if TYPE_CHECKING:
    from scs.matching.options import Search

Scores = NDArray[np.floating[Any]]

_SIDE = 1024
_MOST_IN_A_TILE = 1000  # places of a template, the best
_AROUND = 11  # places that a peak, refined below the pixel, depends on; see scs.matching.peaks
_NO_LIMIT = 2**62
_FOUND = pa.struct([("template", pa.int32()), *((name, pa.float64()) for name in ("score", "x", "y"))])
_MATCH = pa.struct(
    [("template", pa.int32()), ("name", pa.string())]
    + [(name, pa.float64()) for name in ("score", "x", "y", "width", "height")]
)


@dataclass(frozen=True)
class SlideMatch(SlideTask):
    """The search for upright templates by their scores.

    Attributes:
        task: what is looked for, and how.
        look: how slides are looked at.
        step: a map has the best of step by step scores; None writes no maps.
    """

    task: MatchTask
    look: Look
    step: int | None

    steps: ClassVar[tuple[Step, ...]] = (warm_matching,)

    def __post_init__(self) -> None:
        from scs.matching.methods import METHODS

        options = self.task.options
        plain = all(each is None for each in (options.angles, options.scales, options.region, self.task.model))
        if options.method not in METHODS or not plain or (options.polarity, options.border) != ("same", "whole"):
            raise OptionError(
                f"a slide is searched for upright templates, by one of {', '.join(METHODS)}, without angles, scales, "
                "region, model, polarity and border"
            )

    @property
    def columns(self) -> list[pa.Field]:
        """The matches of a tile beside where it is, not yet compared with those of its neighbours."""
        return [*super().columns, pa.field("matches", pa.list_(_FOUND))]

    @property
    def summary_columns(self) -> list[pa.Field]:
        """The matches on a slide, and where its maps and its GeoJSON are."""
        return [pa.field("matches", pa.list_(_MATCH)), pa.field("geojson", pa.string()), pa.field("maps", pa.string())]

    def describe(self) -> dict[str, Any]:
        """Return the templates, the options and how slides are looked at."""
        return {**self.task.describe(), **self.look.describe(), "step": self.step}

    @property
    def fields(self) -> tuple[Field, Field]:
        """A place sees its window, and as much around it as tells that it is a peak."""
        down, across = (max(size[axis] for size in self._sizes) for axis in (0, 1))
        return Field(down + 2 * _AROUND, 1, -_AROUND), Field(across + 2 * _AROUND, 1, -_AROUND)

    @property
    def side(self) -> int:
        """Large beside the templates, so that little is read twice."""
        step = self.step or 1
        return -(-max(_SIDE, *(4 * side for size in self._sizes for side in size)) // step) * step

    def begin(self, slide: Slide, level: Level) -> None:
        """Create the maps."""
        for height, width in self._sizes:
            if height > level.height or width > level.width:
                raise OptionError(
                    f"template is {width}x{height} but {slide.name} is {level.width}x{level.height} at level "
                    f"{self.look.level}; a template must fit inside its slide"
                )
        if self.step is not None:
            least = [min(size[axis] for size in self._sizes) for axis in (0, 1)]
            places = level.height - least[0] + 1, level.width - least[1] + 1
            shape = len(self._sizes), -(-places[0] // self.step), -(-places[1] // self.step)
            tile = self.side // self.step
            create_maps(self.file_of(slide, MAPS), shape, (tile, tile))

    def answer(self, tile: Tile, pixels: Pixels, level: Level) -> Row:
        """Find the best places of each template among the tile's own, and write its part of the maps."""
        from scs.matching.scores import score_maps

        pictures, search = self._decoded(pixels), self._search
        maps = score_maps(
            pictures.scene, pictures.templates, search.method, masks=pictures.masks, p=search.p, q=search.q
        )
        own = tile.rows.entries, tile.columns.entries
        found: list[Row] = []
        parts = []
        for template, scored in enumerate(maps):
            found += self._peaks(template, search.sign * scored.scores, tile, level)
            if self.step is not None:
                parts.append(_best(search.sign * scored.scores[own], self.step))
        if self.step is not None:
            shape = [max(part.shape[axis] for part in parts) for axis in (0, 1)]
            maps_of_tile = np.zeros((len(parts), *shape), np.float32)
            for template, part in enumerate(parts):
                maps_of_tile[template, : part.shape[0], : part.shape[1]] = search.sign * part
            write_tile(self.file_of(tile.slide, MAPS), maps_of_tile, tile.top // self.step, tile.left // self.step)
        return {"matches": found}

    def summary(self, slide: Slide, level: Level, rows: pa.Table) -> Row:
        """Keep the best matches of all tiles, of those that overlap the better, and write them as GeoJSON."""
        found = pa.concat_arrays([chunk.flatten() for chunk in rows["matches"].chunks])
        columns = {name: found.field(name).to_numpy(zero_copy_only=False) for name in ("template", "score", "x", "y")}
        matches = [
            match for template in range(len(self._sizes)) for match in self._kept(template, columns, level.scale)
        ]
        matches.sort(key=lambda match: -self._search.rank(match["score"]))
        geojson, maps = self.file_of(slide, ".geojson"), self.file_of(slide, MAPS)
        geojson.write_text(to_geojson(matches), encoding="utf-8")
        if self.step is not None:
            names = [template.name for template in self.task.templates]
            finish_pyramid(maps, names, self.step * level.scale, np.max if self._search.sign > 0 else np.min)
        return {
            "matches": matches,
            "geojson": str(geojson.relative_to(self.look.folder)),
            "maps": None if self.step is None else str(maps.relative_to(self.look.folder)),
        }

    def _peaks(self, template: int, ranked: Scores, tile: Tile, level: Level) -> list[Row]:
        """The best places of a template in a tile, of those that are the tile's own, in pixels of the largest level.

        Args:
            template: which.
            ranked: its scores ``(h, w)`` in all of the tile, higher is better.
            tile: where they are from.
            level: of the slide.
        """
        from scs.matching.peaks import find_peaks, local_maxima

        search, (height, width) = self._search, self._sizes[template]
        limit = -np.inf if search.sign < 0 else 0.0
        threshold = limit if search.threshold is None else search.sign * search.threshold
        maxima = local_maxima(ranked, threshold)
        rows, columns = np.divmod(maxima, ranked.shape[1])
        maxima = maxima[_within(rows, tile.rows.entries) & _within(columns, tile.columns.entries)]
        best = np.sort(maxima[np.argsort(-ranked.ravel()[maxima], kind="stable")[:_MOST_IN_A_TILE]])
        peaks = find_peaks(
            ranked, (height, width), _MOST_IN_A_TILE, threshold=threshold, overlap=1, p=search.exponent, maxima=best
        )
        top, left = tile.rows.pixels.start, tile.columns.pixels.start
        return [
            {
                "template": template,
                "score": search.sign * peak.score,
                "x": (left + peak.column + width / 2) * level.scale,
                "y": (top + peak.row + height / 2) * level.scale,
            }
            for peak in peaks
        ]

    def _kept(self, template: int, found: dict[str, NDArray[Any]], scale: float) -> Iterator[Row]:
        """The best matches of a template on a slide, without those that overlap a better one."""
        from scs.matching.nms import suppress_boxes

        own = found["template"] == template
        scores, x, y = (found[name][own] for name in ("score", "x", "y"))
        height, width = (side * scale for side in self._sizes[template])
        boxes = np.stack([x, y, np.full_like(x, width), np.full_like(x, height), np.zeros_like(x)], axis=1)
        search = self._search
        for i in suppress_boxes(boxes, search.sign * scores, search.overlap, top=search.top):
            yield {
                "template": template,
                "name": self.task.templates[template].name,
                "score": float(scores[i]),
                "x": float(x[i]),
                "y": float(y[i]),
                "width": width,
                "height": height,
            }

    def _decoded(self, pixels: Pixels) -> MatchPictures:
        """A part of a slide with the templates, as they are compared."""
        scene = NamedBytes("slide", to_npy(pixels), is_npy=True)
        upload = MatchUpload(scene, list(self.task.templates), list(self.task.masks))
        return decode_pictures(upload, _NO_LIMIT, transparency=True)

    @cached_property
    def _sizes(self) -> list[tuple[int, int]]:
        """Height and width of the templates."""
        decoded = self._decoded(np.zeros((1, 1, 3), np.uint8))
        return [(template.shape[0], template.shape[1]) for template in decoded.templates]

    @cached_property
    def _search(self) -> Search:
        return search_for(self.task.options)


def _within(places: NDArray[np.intp], entries: slice) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = places >= entries.start
    return inside if entries.stop is None else inside & (places < entries.stop)


def _best(ranked: Scores, step: int) -> Scores:
    """The best of step by step scores, at the rim of as many as there are."""
    rows, columns = (np.arange(0, side, step) for side in ranked.shape)
    best: Scores = np.maximum.reduceat(np.maximum.reduceat(ranked, rows, axis=0), columns, axis=1)
    return best
