"""Options and answer of ``POST /activations``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from models.cards.card import Pooling, ReceptiveFieldCard
from models.explain.methods import Method
from service.api.box import BOX_PATTERN
from service.api.files import BY_DIGEST, DIGEST_PATTERN
from service.api.models import ModelOptions
from service.api.ranking import Ranking, Timing

Base64 = Annotated[str, Field(description="A PNG, base64.", json_schema_extra={"contentEncoding": "base64"})]


class ActivationOptions(ModelOptions):
    """Options of ``POST /activations``."""

    resize: str | None = Field(
        None,
        pattern=r"^(card|none|[1-9][0-9]{0,4})$",
        description="`none`: dense maps of the picture as it is; `card`: at the size the model was trained on, cropped "
        "or padded as its card says; a number: pixels of the longer side. Unless given, `none`; `card` where the model "
        "takes that size only.",
    )
    layers: str = Field(
        "all", description="`all`, or names of layers with commas between them.", examples=["stem,block2"]
    )
    channels: str = Field(
        "top4",
        pattern=r"^(all|top[1-9][0-9]{0,3}|[0-9]{1,5}(,[0-9]{1,5})*)$",
        description="`topN`: the N of most energy; `all`; or numbers of channels, commas between them, each once.",
    )
    overlay: bool = Field(
        False,
        description="Lay the heatmaps over the picture as it is analysed; where that is a crop, or padded, over the "
        "whole picture, at its size, or smaller if there are many heatmaps.",
    )
    class_name: str | None = Field(
        None,
        alias="class",
        description="Add a map of this class: where it is seen. A label, or a number from 0, such as `#3`, where "
        "classes share a label.",
    )
    method: Method | None = Field(
        None,
        description="How the class is explained: `exact` where the model has such maps, whose mean plus the bias "
        "is the logit, else `gradcam`, unless named. `eigencam` shows what stands out, whatever the class.",
    )
    class_layer: str | None = Field(
        None, description="Layer that the class is explained by; the last one unless named. Occlusion needs none."
    )
    box: str | None = Field(
        None,
        pattern=BOX_PATTERN,
        description="`x,y,width,height` in pixels of the picture: where else do the features of this box occur?",
    )
    inputs: bool = Field(
        False,
        description="Add to the numbers (npz, zip) what the kernels of each layer named are laid over, as "
        "`<layer>.input`, without its padding; of layers of ONNX models that have kernels.",
    )
    picture: str | None = Field(None, pattern=DIGEST_PATTERN, description=f"In place of a picture: {BY_DIGEST}")
    peaks: int = Field(5, ge=1, le=100, description="Most places to name in each layer, for a template or a box.")


class Heatmap(BaseModel):
    """A map drawn as a PNG, with the limits of its colour scale."""

    low: float = Field(description="Value of the first colour.")
    high: float = Field(description="Value of the last colour; a signed map has -low here, and white at zero.")
    png: Base64


class ChannelEnergy(BaseModel):
    """A channel of a layer and its energy, which is its mean square over the picture."""

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
    """One layer's feature maps of a picture: their shape, receptive field, energies and heatmaps."""

    name: str
    shape: tuple[int, int, int] = Field(description="Channels, height and width of its maps.")
    receptive_field: ReceptiveFieldCard
    signed: bool
    energies: list[ChannelEnergy] = Field(description="Every channel, most energy first.")
    heatmaps: list[ChannelHeatmap]
    match: FeatureMatch | None = Field(None, description="Where a template was sent, or a box named.")


class ClassMap(Heatmap):
    """Where a class is seen. Where the map is exact (CAM), its mean or its maximum, plus ``bias``, is the logit."""

    label: str
    index: int
    method: Method
    exact: bool = Field(
        description="Whether what `pooling` says and the bias add up to the logit; every other map approximates."
    )
    pooling: Pooling | None = Field(None, description="Of an exact map: whether its mean or its maximum counts.")
    layer: str | None = Field(None, description="Layer that it is made of; none of occlusion.")
    mean: float
    maximum: float
    bias: float | None = Field(None, description="Of an exact map.")
    logit: float


class AnalysedRegion(BaseModel):
    """The part of the picture that the network saw, in pixels of the picture as it was sent; heatmaps cover it."""

    x: float
    y: float
    width: float
    height: float


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
                "analysed_region": {"x": 0, "y": 0, "width": 1024, "height": 768},
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
                    "method": "exact",
                    "exact": True,
                    "layer": "class_map",
                    "pooling": "mean",
                    "mean": 4.25,
                    "maximum": 9.5,
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
    analysed_region: AnalysedRegion = Field(
        description="What the heatmaps cover: the whole picture unless the model's card crops it, or pads it; negative "
        "where there is padding."
    )
    classes: Ranking
    layers: list[LayerActivation]
    class_map: ClassMap | None = None
    timing: Timing
