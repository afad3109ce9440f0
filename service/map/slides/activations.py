"""The maps of a network's layer on slides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from models.cards.card import LayerCard, ModelCard
from models.runtime.load import Array
from scs.errors import OptionError
from service.api.activations import ActivationOptions
from service.api.files import NamedBytes
from service.map.slides.pyramid import create_maps, finish_pyramid, write_tile
from service.map.slides.slide import Level, Pixels
from service.map.slides.task import MAPS, Field, Look, Slide, SlideTask, Tile, read_tile
from service.map.task import ModelFile, Row, Step
from service.pictures.picture import MODES, to_image, to_pixels
from service.settings import Settings
from service.tasks.activations.choice import chosen_channels, chosen_layer

_SIDE = 512


@dataclass(frozen=True)
class SlideActivations(SlideTask):
    """The maps of one layer, which a tile has as the whole slide would have them.

    Attributes:
        model: the network.
        layer: of it.
        channels: of the layer, by number, with their names.
        colours: channels that the network takes.
        settings: limits.
        look: how slides are looked at.
    """

    model: ModelFile
    layer: LayerCard
    channels: dict[int, str]
    colours: int
    settings: Settings
    look: Look

    steps: ClassVar[tuple[Step, ...]] = ()

    @classmethod
    def make(
        cls, settings: Settings, options: ActivationOptions, template: NamedBytes | None, look: Look
    ) -> SlideActivations:
        """Make the task of a model that is in the repository.

        Raises:
            UnknownNameError, ModelError: there is no such model, layer or channel.
            OptionError: a unit of the layer sees more than its receptive field, or an option that is for pictures.
        """
        model, card = ModelFile.find(settings, options.model, options.version)
        unset = [options.class_name, options.method, options.class_layer, options.box, options.resize, template]
        of_all = options.layers == "all" or options.channels.startswith("top")
        if of_all or any(each is not None for each in unset):
            raise OptionError(
                "maps of a slide are of one layer (--layers) and of channels by number, or all (--channels), without "
                "class, method, template, box and resize"
            )
        layer = chosen_layer(card, options.layers)
        _check_local(card, layer)
        names = layer.labels or (card.labels if layer.name == card.class_map else map(str, range(layer.channels)))
        named = dict(enumerate(names))
        channels = {channel: named[channel] for channel in chosen_channels([], options.channels, layer)}
        return cls(model, layer, channels, card.input.channels, settings, look)

    @property
    def summary_columns(self) -> list[pa.Field]:
        """Where the maps of a slide are."""
        return [pa.field("maps", pa.string())]

    def describe(self) -> dict[str, Any]:
        """Return the model, the layer, the channels and how slides are looked at."""
        options = {"layer": self.layer.name, "channels": list(self.channels)}
        return {"model": self.model.describe(), "options": options, **self.look.describe()}

    @property
    def fields(self) -> tuple[Field, Field]:
        """The receptive field on the model's card."""
        field = self.layer.receptive_field
        (down, across), (top, left) = field.strides, field.offsets
        return Field(field.size, down, top), Field(field.across, across, left)

    @property
    def side(self) -> int:
        """Near 512, and a multiple of the strides."""
        step = int(np.lcm(*self.layer.receptive_field.strides))
        return -(-_SIDE // step) * step

    def begin(self, slide: Slide, level: Level) -> None:
        """Create the maps; how large they are shows in the last tile."""
        rows, columns = self.grid(level)
        last = self.tile(level, slide, len(rows) * len(columns) - 1)
        corner = self._maps(last, read_tile(last, level))
        shape = len(self.channels), last.top + corner.shape[1], last.left + corner.shape[2]
        down, across = self.layer.receptive_field.strides
        create_maps(self.file_of(slide, MAPS), shape, (self.side // down, self.side // across))

    def answer(self, tile: Tile, pixels: Pixels, level: Level) -> Row:
        """Run the network on a tile, and write what is its own of the maps."""
        write_tile(self.file_of(tile.slide, MAPS), self._maps(tile, pixels), tile.top, tile.left)
        return {}

    def summary(self, slide: Slide, level: Level, rows: pa.Table) -> Row:
        """Write the smaller levels of the maps."""
        maps = self.file_of(slide, MAPS)
        scale = self.layer.receptive_field.stride * level.scale
        finish_pyramid(maps, list(self.channels.values()), scale, np.mean)
        return {"maps": str(maps.relative_to(self.look.folder))}

    def _maps(self, tile: Tile, pixels: Pixels) -> Array:
        if pixels.dtype != np.uint8:
            raise OptionError(f"a network takes pixels of uint8; the slide has {pixels.dtype}")
        if pixels.shape[-1] != self.colours:
            pixels = to_pixels(to_image(pixels).convert(MODES[self.colours]))
        runtime = self.model.load(self.settings).runtime
        maps: Array = runtime.layers(pixels[None], [self.layer.name])[self.layer.name][0]
        return maps[list(self.channels), tile.rows.entries, tile.columns.entries]


def _check_local(card: ModelCard, layer: LayerCard) -> None:
    """Refuse a layer whose values in a tile are not those of the whole slide.

    Raises:
        OptionError: it is one.
    """
    if card.input.fixed or card.input.multiple_of > 1:
        raise OptionError(f"{card.name} takes pictures of some sizes only; a slide needs a network that takes any")
    if layer.receptive_field.everywhere:
        raise OptionError(f"a unit of {layer.name} sees the whole picture; a slide needs a layer that stays local")
