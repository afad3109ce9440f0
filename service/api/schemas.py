"""The answers of the service, and the options of its routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.cards.aliases import LABEL_PATTERN
from models.cards.card import ModelCard, ReceptiveFieldCard

State = Literal["READY", "LOADING", "UNAVAILABLE"]  # as the repository extension calls them
Base64 = Annotated[str, Field(description="A PNG, base64.", json_schema_extra={"contentEncoding": "base64"})]


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


VersionOption = Annotated[
    str | None,
    Field(
        pattern=rf"^[1-9][0-9]{{0,17}}$|{LABEL_PATTERN}",
        coerce_numbers_to_str=True,
        description="A number or a label; unless given, the version labelled `default`, or the newest.",
    ),
]


class ModelOptions(_Options):
    """Which model answers, and at what size it sees the picture."""

    model: str | None = Field(None, description="Name of a model; the default one unless given.")
    version: VersionOption = None


class PredictOptions(ModelOptions):
    """Options of ``POST /predict``."""

    top_k: int = Field(5, ge=1, le=1000, description="Classes, or templates, to name, best first.")
    resize: str = Field(
        "card",
        pattern=r"^(card|none|[1-9][0-9]{0,4})$",
        description="`card`: to the size the model was trained on (a bank of templates: not at all); "
        "`none`: not at all; a number: pixels of the longer side.",
    )


class ActivationOptions(ModelOptions):
    """Options of ``POST /activations``."""

    resize: str = Field(
        "none",
        pattern=r"^(card|none|[1-9][0-9]{0,4})$",
        description="`none`: dense maps of the picture as it is; `card`: at the size the model was trained on; "
        "a number: pixels of the longer side.",
    )
    layers: str = Field(
        "all", description="`all`, or names of layers with commas between them.", examples=["stem,block2"]
    )
    channels: str = Field(
        "top4",
        pattern=r"^(all|top[1-9][0-9]{0,3}|[0-9]{1,5}(,[0-9]{1,5})*)$",
        description="`topN`: the N of most energy; `all`; or numbers of channels with commas between them.",
    )
    overlay: bool = Field(False, description="Lay the heatmaps over the picture, at its size.")
    class_name: str | None = Field(
        None, alias="class", description="Add the exact map of this class: its mean plus the bias is the logit."
    )
    box: str | None = Field(
        None,
        pattern=r"^-?[0-9]{1,6}(,-?[0-9]{1,6}){3}$",
        description="`x,y,width,height` in pixels of the picture: where else do the features of this box occur?",
    )
    peaks: int = Field(5, ge=1, le=100, description="Most places to name in each layer, for a template or a box.")


class Problem(BaseModel):
    """A failure, as RFC 9457 has it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = Field(description="What was needed and what came.")


class Timing(BaseModel):
    """Time spent on a request, in milliseconds."""

    decode_ms: float
    inference_ms: float


@dataclass(frozen=True, slots=True)
class ClassProbability:
    """One class and how probable the model holds it."""

    label: str
    index: int
    probability: Annotated[float, Field(ge=0, le=1)]

    @property
    def shown(self) -> str:
        """The figure as people read it."""
        return f"{self.probability:.1%}"


@dataclass(frozen=True, slots=True)
class TemplateScore:
    """One template of a bank and its best score anywhere in the picture: how alike they are there, not how probable."""

    label: str
    index: int
    score: Annotated[float, Field(ge=-1, le=1)]

    @property
    def shown(self) -> str:
        """The figure as people read it."""
        return f"{self.score:.3f}"


Ranked = ClassProbability | TemplateScore
Ranking = Annotated[
    list[ClassProbability] | list[TemplateScore],
    Field(description="Classes, most probable first; of a bank, templates, the best score first."),
]


class ImagePrediction(BaseModel):
    """What a model says of one picture."""

    name: str = Field(description="File name as it was sent, or the picture's number.")
    width: int = Field(description="Pixels, upright.")
    height: int
    classes: Ranking


class PredictResponse(BaseModel):
    """Answer of ``POST /predict``: one entry a picture, in the order they were sent."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "model": "cifar10-scs",
                "version": 1,
                "predictions": [
                    {
                        "name": "photo.jpg",
                        "width": 1024,
                        "height": 768,
                        "classes": [{"label": "cat", "index": 3, "probability": 0.81}],
                    }
                ],
                "timing": {"decode_ms": 3.1, "inference_ms": 1.2},
            }
        }
    )

    model: str
    version: int
    predictions: list[ImagePrediction]
    timing: Timing


class Heatmap(BaseModel):
    """A map as a picture, with the limits of its colour scale."""

    low: float = Field(description="Value of the first colour.")
    high: float = Field(description="Value of the last colour; a signed map has -low here, and white at zero.")
    png: Base64


class ChannelEnergy(BaseModel):
    """A channel and its mean square over the picture."""

    channel: int
    energy: float


class ChannelHeatmap(Heatmap):
    """The heatmap of one channel."""

    channel: int
    label: str | None = Field(None, description="What it stands for: the template, of a bank.")


class Peak(BaseModel):
    """A place where the template's features occur: a box in pixels of the picture as it was sent."""

    x: float
    y: float
    width: float
    height: float
    score: float = Field(ge=-1, le=1, description="Sharpened cosine similarity; 1 is the template itself.")


class FeatureMatch(Heatmap):
    """Where the template's features occur in a layer; the heatmap covers the places where the template fits."""

    peaks: list[Peak]


class LayerActivation(BaseModel):
    """One layer of a network, seen on a picture."""

    name: str
    shape: tuple[int, int, int] = Field(description="Channels, height and width of its maps.")
    receptive_field: ReceptiveFieldCard
    signed: bool
    energies: list[ChannelEnergy] = Field(description="Every channel, most energy first.")
    heatmaps: list[ChannelHeatmap]
    match: FeatureMatch | None = Field(None, description="Where a template was sent, or a box named.")


class ClassMap(Heatmap):
    """The exact map of a class: ``mean + bias`` is the logit."""

    label: str
    index: int
    mean: float
    bias: float
    logit: float


class ActivationsResponse(BaseModel):
    """Answer of ``POST /activations``."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "model": "cifar10-scs",
                "version": 1,
                "width": 1024,
                "height": 768,
                "analysed_width": 1024,
                "analysed_height": 768,
                "classes": [{"label": "cat", "index": 3, "probability": 0.81}],
                "layers": [
                    {
                        "name": "block1",
                        "shape": [64, 384, 512],
                        "receptive_field": {"size": 8, "stride": 2, "offset": -3},
                        "signed": True,
                        "energies": [{"channel": 17, "energy": 0.42}],
                        "heatmaps": [{"channel": 17, "low": -1.3, "high": 1.3, "png": "iVBORw0KGgo…"}],
                        "match": {
                            "low": -1,
                            "high": 1,
                            "png": "iVBORw0KGgo…",
                            "peaks": [{"x": 400, "y": 200, "width": 100, "height": 80, "score": 1}],
                        },
                    }
                ],
                "class_map": {
                    "label": "cat",
                    "index": 3,
                    "mean": 4.25,
                    "bias": -0.25,
                    "logit": 4,
                    "low": -9.5,
                    "high": 9.5,
                    "png": "iVBORw0KGgo…",
                },
                "timing": {"decode_ms": 3.1, "inference_ms": 250.2},
            }
        }
    )

    model: str
    version: int
    width: int = Field(description="Pixels of the picture as it was sent, upright; boxes are in these.")
    height: int
    analysed_width: int = Field(description="Pixels of the picture as the network saw it.")
    analysed_height: int
    classes: Ranking
    layers: list[LayerActivation]
    class_map: ClassMap | None = None
    timing: Timing


class ModelState(BaseModel):
    """A version of a model in the repository, and whether it can be used."""

    name: str
    version: int
    state: State = Field(description="READY where it can be used.")
    available: bool
    reason: str | None = Field(
        None, description="Why it is not available; of one that is, why what is on disk by now was not taken."
    )
    device: Literal["cpu", "cuda"] | None = Field(None, description="Where it runs.")
    kernels: Literal["native", "portable"] | None = Field(
        None,
        description="What computes its layers of sharpened cosine similarity; null where it has none.",
    )
    default: bool = Field(False, description="Whether it is of the model that answers requests that name none.")
    default_version: bool = Field(description="Whether it answers requests that name its model and no version.")
    labels: list[str] = Field(description="Names of this version.")


class ModelDetail(ModelState):
    """The same with the model's card; null where the card cannot be read."""

    card: ModelCard | None


class ModelList(BaseModel):
    """Answer of ``GET /models``."""

    models: list[ModelState]


class ModelIndex(BaseModel):
    """A version of a model in the answer of ``POST /v2/repository/index``."""

    name: str
    version: str
    state: State
    reason: str = Field(description="Why it is not ready, or why what is on disk by now was not taken; else empty.")


class IndexRequest(BaseModel):
    """Body of ``POST /v2/repository/index``."""

    ready: bool = Field(False, description="Name only what can be used.")


class LoadRequest(BaseModel):
    """Body of a load."""

    parameters: dict[str, Any] = Field({}, description="None is taken: a model is loaded as it lies on disk.")


class UnloadRequest(BaseModel):
    """Body of an unload."""

    parameters: dict[str, Any] = Field({}, description="None makes a difference: no model depends on another.")


class Live(BaseModel):
    """Answer of ``GET /v2/health/live``."""

    live: Literal[True] = True


class Ready(BaseModel):
    """Answer of ``GET /v2/health/ready``."""

    ready: bool
