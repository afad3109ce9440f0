"""The card of a model: everything that a service, or a reader, needs to know of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from models.cards.confined import read_confined
from scs.errors import ModelError

CARD_FILE = "card.json"
LARGEST_CARD = 16 * 2**20  # bytes; a bank of 100,000 templates fits
NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
# A layer's name is a word of the options of /activations, and names the arrays of its answers: no path, no list, and
# no name that is an option itself or another array's.
LAYER_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$"
RESERVED_LAYERS = frozenset({"all", "logits", "file", "allow_pickle"})
RESERVED_ENDINGS = (".channels", ".match")
Format = Literal["onnx", "torchscript"]
Pooling = Literal["mean", "maximum"]
CARD_VERSION = 3  # of the format; docs/cards.md has what each brought
MOST_CONFUSED = 100  # classes; the matrix of more is long to read and to send
MODEL_FILES: dict[Format, str] = {"onnx": "model.onnx", "torchscript": "model.ts"}


Count = Annotated[int, Field(gt=0, le=2**53)]  # what every reader of JSON takes as it is
Pixels = Annotated[int, Field(gt=0, le=2**16)]
Offset = Annotated[int, Field(ge=-(2**16), le=2**16)]
Words = Annotated[str, Field(max_length=10_000)]
Label = Annotated[str, Field(max_length=1000)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class GeometryCard(_Part):
    """How a picture is brought to the network's size; a crop and its rounding are those of torchvision."""

    mode: Literal["stretch", "crop", "letterbox"] = Field(
        description="`stretch`: both sides scaled apart; `crop`: the shorter side scaled to `shorter_side`, then the "
        "middle cut out; `letterbox`: scaled to fit within, the rest filled."
    )
    shorter_side: int | None = Field(None, gt=0, description="Pixels; with `crop`, and only there.")
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] = Field(
        description="The filter of Pillow with antialiasing, of OpenCV without."
    )
    antialias: bool = Field(description="Whether a picture that is made smaller is averaged over what a pixel covers.")
    fill: int = Field(0, ge=0, le=255, description="Grey value around a picture that does not cover all.")

    @model_validator(mode="after")
    def _check_shorter_side(self) -> GeometryCard:
        if (self.mode == "crop") != (self.shorter_side is not None):
            came = f"'{self.mode}' with shorter_side {self.shorter_side}"
            raise ValueError(f"'crop' needs a shorter_side, and nothing else takes one; {came} came")
        return self


class InputCard(_Part):
    """The images a model was trained on; it takes uint8 ``(N, H, W, channels)`` of any size from ``smallest`` up."""

    width: Pixels = Field(description="Pixels; of a bank of templates, those of the widest.")
    height: Pixels = Field(description="Pixels; of a bank of templates, those of the tallest.")
    channels: Literal[1, 3] = Field(description="1: grey, 3: red, green, blue.")
    smallest: Pixels | tuple[Pixels, Pixels] = Field(
        description="Pixels on either side, or across and down, below which the network leaves nothing."
    )
    resize: bool = Field(
        True, description="Whether pictures are resized to width and height unless the request says otherwise."
    )
    fixed: bool = Field(
        False,
        description="Whether the network takes width by height alone; found out when the model is loaded, if not said.",
    )
    multiple_of: Pixels = Field(1, description="Pixels that both sides need to be a multiple of.")
    geometry: GeometryCard | None = Field(
        None, description="How they are; unless given, stretched with antialiasing, a JPEG from a smaller decoding."
    )

    @property
    def smallest_size(self) -> tuple[int, int]:
        """Smallest width and height of an image in pixels; the network leaves nothing of a smaller one."""
        return (self.smallest, self.smallest) if isinstance(self.smallest, int) else self.smallest


class ReceptiveFieldCard(_Part):
    """The receptive field of a layer: unit ``i`` sees ``size`` pixels from ``offset + i * stride`` on each axis."""

    size: Pixels = Field(description="Pixels; down only, where there is a width.")
    width: Pixels | None = Field(None, description="Pixels across, where these are others than down.")
    stride: Pixels = Field(description="Pixels between neighbouring units.")
    offset: Offset = Field(description="First pixel of the first unit; negative where padding is seen.")
    stride_across: Pixels | None = Field(None, description="Stride across, where it is another than down.")
    offset_across: Offset | None = Field(None, description="Offset across, where it is another than down.")
    everywhere: bool = Field(
        False,
        description="Whether a unit sees the whole picture, by attention or a mean of it; size, stride and offset are "
        "then those of the path to it that stays local.",
    )

    @property
    def across(self) -> int:
        """Width of the receptive field in pixels."""
        return self.width or self.size

    @property
    def strides(self) -> tuple[int, int]:
        """Pixels between neighbouring units, down and across."""
        return self.stride, self.stride_across or self.stride

    @property
    def offsets(self) -> tuple[int, int]:
        """First pixel of the first unit, down and across."""
        return self.offset, self.offset if self.offset_across is None else self.offset_across


class LayerCard(_Part):
    """One layer that ``/activations`` can show."""

    name: str = Field(
        description="A word: no path, and not `all`, `logits`, `file` or `allow_pickle`.",
        json_schema_extra={"pattern": LAYER_PATTERN},
    )
    tensor: str = Field(min_length=1, max_length=1000, description="Name of the tensor in the graph.")
    channels: Count
    receptive_field: ReceptiveFieldCard
    signed: bool = Field(description="Whether its values take both signs.")
    labels: list[Label] | None = Field(None, description="What each channel stands for, where that has a name.")
    maps: tuple[Pixels, Pixels] | None = Field(
        None, description="Rows and columns of a map of a picture of the input's width and height."
    )

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        needs = None
        if not re.fullmatch(LAYER_PATTERN, name):
            needs = "a layer's name is up to 100 of letters, digits, '_', '.' and '-', neither of these two first"
        elif name in RESERVED_LAYERS or name.endswith(RESERVED_ENDINGS):
            needs = "a layer needs a name that means nothing else"
        if needs is not None:
            raise PydanticCustomError("layer_name", "{needs}; '{name}' came", {"needs": needs, "name": name[:60]})
        return name


class BankCard(_Part):
    """How a bank compares its templates with patches; its logits are the best scores, its layers' maps all of them."""

    method: str = Field(description="One of the methods of /match.")
    p: float = Field(ge=1, description="Exponent; larger is sharper.")
    q: float = Field(ge=0, description="Noise floor, in units of the norms of pixels from 0 to 255.")


class AccuracyCard(_Part):
    """Accuracy of the exported file, with a 95% Wilson interval."""

    dataset: Words
    note: Words = Field("", description="What a reader of the figure must know of the data.")
    images: Count
    correct: int = Field(ge=0, le=2**53)
    accuracy: float = Field(ge=0, le=1)
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)
    confusion: list[list[Annotated[int, Field(ge=0, le=2**53)]]] | None = Field(
        None,
        max_length=MOST_CONFUSED,
        description="How many images of each class, a row, were put into each class, a column; none of more than "
        f"{MOST_CONFUSED} classes.",
    )

    @model_validator(mode="after")
    def _check_confusion(self) -> AccuracyCard:
        rows = self.confusion
        if rows is None:
            return self
        if any(len(row) != len(rows) for row in rows):
            raise ValueError(f"confusion needs as many columns as rows, {len(rows)}, in each row")
        total, right = sum(map(sum, rows)), sum(row[number] for number, row in enumerate(rows))
        if (total, right) != (self.images, self.correct):
            raise ValueError(
                f"confusion needs to count {self.images} images, {self.correct} of them on its diagonal; "
                f"it counts {total} and {right}"
            )
        return self


class FollowedCard(_Part):
    """How well a model follows a shift of its pictures: its errors are 0 for exactly, 1 for nothing in common."""

    layers: dict[str, float] = Field(description="Error of each layer's maps, see docs/lab/equivariance.md.")
    logits: float = Field(ge=0, description="Error of the logits, which should stay.")
    class_kept: float = Field(ge=0, le=1, description="Share of the pictures that stay in their class.")


class EquivarianceCard(_Part):
    """Shift equivariance of a model under circular shifts of the pictures, down and across."""

    dataset: Words
    images: Count
    shift: Pixels = Field(description="Pixels.")
    as_served: FollowedCard = Field(description="Borders and pooling.")
    without_borders: FollowedCard = Field(description="Pooling alone: the picture goes on around its borders.")


class SeedCard(_Part):
    """Accuracy of the network trained with one of the seeds that were tried, before export."""

    seed: int
    validation_accuracy: float
    test_accuracy: float


class DataCard(_Part):
    """Somebody's own data that a model was trained on."""

    name: Words = Field(description="Of the folder or the file.")
    sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="Of the file, or of the list of files and their SHA-256."
    )
    split_seed: int | None = Field(None, description="What the split was drawn by; none where the data came split.")
    train: Count = Field(description="Pictures that it was trained on.")
    validation: int = Field(ge=0, le=2**53, description="Pictures held back, to choose by.")
    test: int = Field(ge=0, le=2**53, description="Pictures that the accuracy is of.")
    left_out: int = Field(0, ge=0, le=2**53, description="Files that could not be read.")


class StoppedCard(_Part):
    """A training that stopped early."""

    after: Count = Field(description="The epoch after which it stopped.")
    best: Count = Field(description="The epoch whose weights it has, with the lowest loss on what was held back.")


class TrainingCard(_Part):
    """How the model was trained; the seed with the best validation accuracy is the one exported."""

    data: DataCard | None = Field(None, description="Somebody's own; none for a data set that is published.")
    recipe: dict[str, str | int | float | bool | list[int]]
    seed: int
    seeds: list[SeedCard]
    stopped: StoppedCard | None = Field(None, description="Where it stopped early.")
    torch: str
    git_commit: str | None = None


class ServingCard(_Part):
    """Serving settings of this model that override those of the service."""

    max_batch_size: int | None = Field(
        None, gt=0, le=2**16, description="Most images that go through the network together; 1 where it takes no more."
    )
    max_queue_delay_us: int | None = Field(
        None, ge=0, le=1_000_000, description="Microseconds to wait for more of them."
    )
    max_queue: int | None = Field(None, gt=0, le=2**20, description="Most images that wait.")
    timeout_s: float | None = Field(None, gt=0, le=86_400, description="Seconds that a request may take.")


class PreprocessCard(_Part):
    """What the file does to pixels before the network: ``(pixel * scale - mean) / deviation``. To be read only."""

    order: Literal["rgb", "bgr"] = Field(description="Order of the channels that the network takes.")
    scale: float = Field(description="Factor of pixels from 0 to 255.")
    mean: list[float] = Field(description="One number, or one a channel in the network's order; after scaling.")
    deviation: list[float] = Field(description="Likewise; what pixels are divided by at the end.")
    source: str = Field(description="What said so.")


class ImportCard(_Part):
    """Where an imported model came from, and how well it agrees with that. To be read only."""

    file: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the original file.")
    output: str = Field(description="The original's output, or what stands before its softmax, that gives the logits.")
    preprocess: PreprocessCard
    assumed: list[str] = Field([], description="What nothing said, and was assumed.")
    difference: float = Field(ge=0, description="Largest between its answers and the original's, of their range.")


class CountedCard(_Part):
    """How many of some pictures, with a 95% Wilson interval of their share."""

    count: int = Field(ge=0, le=2**53)
    of: Count
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)


class TaughtCard(_Part):
    """What a model was taught, by `scs teach`, and what came of pictures that were left out."""

    network: Words = Field(description="Name and version of the network whose features are compared.")
    network_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of that network's file.")
    layer: str = Field(description="The layer whose features are compared.")
    data: Words = Field(description="Names of the folders or files that the pictures are from.")
    pictures: list[Count] = Field(description="Of each class, in the order of the labels.")
    other_things: int = Field(0, ge=0, le=2**53, description="Pictures of none of the classes.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of taught.npz: features and digests of the pictures.")
    kernels: Count = Field(description="Of the layer of sharpened cosine similarity.")
    p: float = Field(gt=0, description="Exponent.")
    q: float = Field(ge=0, description="Noise floor, in units of the length of features.")
    shrinkage: float = Field(gt=0, le=1, description="How far directions keep their variance; 1: all of it.")
    temperature: float = Field(gt=0, description="Factor from scores to logits.")
    threshold: float | None = Field(None, description="Score below which a picture is none of the classes.")
    most_false_alarms: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Share of other things that may be given a class, where that was asked for.",
    )
    right: CountedCard | None = Field(None, description="Pictures that were left out and named rightly.")
    misses: CountedCard | None = Field(
        None,
        description="Pictures that were left out and said to be none of these, by a threshold that other classes set.",
    )
    false_alarms: CountedCard | None = Field(
        None,
        description="Pictures of other things, and of classes that were left out, that were given a class, likewise.",
    )


class ModelCard(_Part):
    """A model's card, kept beside its file as ``card.json``."""

    card_version: int = Field(1, ge=1, le=CARD_VERSION, description="Of the card's format; 1 where nothing is said.")
    name: str = Field(pattern=NAME_PATTERN)
    version: int = Field(gt=0, lt=10**18)
    description: Words
    format: Format
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the model file; checked before it is loaded.")
    family: Words
    parameters: Count
    input: InputCard
    labels: list[Label] = Field(description="Names of the classes; none for a network that has no classes.")
    layers: list[LayerCard] = Field(max_length=10_000)
    class_map: str | None = Field(
        None, description="Layer with a map per class, whose mean, or maximum, plus the class's bias is the logit."
    )
    class_pooling: Pooling = Field("mean", description="Which of both it is; the mean where nothing is said.")
    class_bias: list[float] = Field([], description="One for each class, where there is a class map.")
    bank: BankCard | None = Field(None, description="Where the model is a bank of templates: logits are scores then.")
    serving: ServingCard = ServingCard()
    accuracy: AccuracyCard | None = None
    equivariance: EquivarianceCard | None = None
    training: TrainingCard | None = None
    imported: ImportCard | None = None
    taught: TaughtCard | None = None
    licence: Words = "MIT"

    @model_validator(mode="after")
    def _check_confused_labels(self) -> ModelCard:
        confusion = self.accuracy.confusion if self.accuracy else None
        if confusion is not None and len(confusion) != len(self.labels):
            raise ValueError(
                f"accuracy.confusion needs a row for each of {len(self.labels)} labels; {len(confusion)} came"
            )
        return self

    @property
    def file_name(self) -> str:
        """Name of the model file beside the card."""
        return MODEL_FILES[self.format]

    def layer(self, name: str) -> LayerCard | None:
        """Return the layer of that name, or None."""
        return next((layer for layer in self.layers if layer.name == name), None)


def read_card(path: Path, root: Path | None = None) -> ModelCard:
    """Read and validate a model card.

    Args:
        path: the card.
        root: folder that no link may lead out of; the card's own unless given.

    Raises:
        ModelError: there is none, or it is not a card; the message names the first field that is wrong.
    """
    try:
        return ModelCard.model_validate_json(read_confined(root or path.parent, path, LARGEST_CARD))
    except FileNotFoundError:
        raise ModelError(f"a model needs a {CARD_FILE} beside its file; there is none") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = " ".join(".".join(str(part) for part in first["loc"]).split())[:80] or "the whole"
        what = first["msg"][:1].lower() + first["msg"][1:300]
        raise ModelError(f"{CARD_FILE} is not a model's card: {where}: {what}") from None


def write_card(card: ModelCard, path: Path) -> None:
    """Write a card atomically, as indented JSON, one line a field or row of counts, so that its diffs can be read."""
    unfinished = path.with_name(f".{path.name}")
    unfinished.write_text(_COUNTS.sub(_on_one_line, card.model_dump_json(indent=2)) + "\n")
    unfinished.replace(path)


_COUNTS = re.compile(r"\[\n\s+\d+(,\n\s+\d+)*\n\s+\]")  # no string of JSON has a line feed as it is


def _on_one_line(counts: re.Match[str]) -> str:
    return re.sub(r"\n\s+", "", counts[0]).replace(",", ", ")
