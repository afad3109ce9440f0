"""Options that choose a model, and the answers of the ``/models`` routes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.cards.aliases import ALIAS_PATTERN
from models.cards.card import ModelCard


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


State = Literal["READY", "LOADING", "UNAVAILABLE"]  # as the repository extension calls them

VersionOption = Annotated[
    str | None,
    Field(
        pattern=rf"^[1-9][0-9]{{0,17}}$|{ALIAS_PATTERN}",
        coerce_numbers_to_str=True,
        description="A number or a label; unless given, the version labelled `default`, or the newest.",
    ),
]


class ModelOptions(_Options):
    """Options that choose the model and the version that answer a request."""

    model: str | None = Field(None, description="Name of a model; the default one unless given.")
    version: VersionOption = None


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
    """A version of a model with its card, which is null where it cannot be read."""

    card: ModelCard | None


class ModelList(BaseModel):
    """Answer of ``GET /models``."""

    models: list[ModelState]


class GraphNode(BaseModel):
    """The picture, a layer, the logits, or a place where branches of a network come together."""

    kind: Literal["image", "layer", "join", "logits"]
    name: str = Field(description="Of the layer; of a join, its operator: `Add`, say.")
    shape: list[int] | None = Field(
        None,
        description="For one picture of the card's width and height; null where that cannot be told from the file.",
    )
    parameters: int = Field(
        0,
        description="Numbers that its operators hold, trained or not, each counted at the first layer that needs it.",
    )


class GraphEdge(BaseModel):
    """A way from one node to another."""

    source: int = Field(description="Place among the nodes, from 0.")
    target: int = Field(description="Likewise.")
    operators: list[str] = Field(
        description="From the first that reads the source to the one that makes the target; none where both show one "
        "tensor."
    )


class KernelOptions(_Options):
    """Options of ``GET /models/{name}/kernel``."""

    layer: str = Field(description="Name of a layer.", examples=["stem"])
    channel: int = Field(ge=0, description="Number of one of its channels, from 0.")
    version: VersionOption = None


class LayerKernel(BaseModel):
    """Answer of ``GET /models/{name}/kernel``: what a channel of a layer compares patches with."""

    model: str
    version: int
    layer: str
    channel: int
    operator: Literal["Conv", "SharpenedCosineSimilarity"]
    kernel: list[list[list[float]]] = Field(description="Its weights: channels of the input, down, across.")
    first_input: int = Field(description="Channel of the input that the first weights belong to; 0 but for groups.")
    bias: float | None = Field(None, description="Of a convolution that has one.")
    p: float | None = Field(None, description="Exponent of sharpened cosine similarity.")
    q: float | None = Field(None, description="Its noise floor.")
    strides: tuple[int, int] = Field(description="Down and across, in pixels of the input.")
    dilations: tuple[int, int] = Field(description="Likewise.")
    pads: tuple[int, int, int, int] | None = Field(
        description="Zeros above, left, below and right of the input; null where they depend on the picture's size."
    )
    after: list[str] = Field(description="Operators between the kernel and what the layer shows.")


class ModelGraph(BaseModel):
    """Answer of ``GET /models/{name}/graph``."""

    model: str
    version: int
    nodes: list[GraphNode] = Field(description="In the order in which the network computes them.")
    edges: list[GraphEdge] = Field(description="By target; a join has one for each of its branches.")
