"""Options and answer of ``POST /match``."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.api.box import BOX_PATTERN
from service.api.files import BY_DIGEST, DIGEST_PATTERN
from service.api.models import ModelOptions

_STEPS = "`auto`; one value; several with commas between them; `start:stop`; `start:stop:step`"


class MatchOptions(ModelOptions):
    """Options of ``POST /match``, and of ``scs match``; the model counts for ``features`` and ``parts``."""

    method: str = Field(
        "ccoeff_normed",
        max_length=60,
        description="`ccoeff_normed`, `ccoeff`, `ccorr_normed`, `ccorr`, `sqdiff_normed` or `sqdiff`, OpenCV's; "
        "`scs` or `scs_centred`, sharpened cosine similarity; `pixels`, the very same pixels, which sees a state; "
        "`parts`, for what bends, with the features of a `model` too if one is named; `features` of a network.",
    )
    layer: str | None = Field(
        None,
        max_length=2000,
        description="Layer whose features are compared, or several with commas between them, which vote; the last at "
        "half of the coarsest stride unless given.",
        examples=["blocks.10"],
    )
    p: float = Field(2.0, gt=0, le=1000, allow_inf_nan=False, description="Exponent of `scs` and `scs_centred`.")
    q: float = Field(
        0.0, ge=0, le=1e30, allow_inf_nan=False, description="Their noise floor, in the units of a patch's norm."
    )
    angles: str | None = Field(
        None,
        max_length=2000,
        description=f"Degrees that templates may be turned by, counter-clockwise: {_STEPS}. Upright unless given.",
        examples=["-180:180"],
    )
    scales: str | None = Field(
        None,
        max_length=2000,
        description=f"Size in the scene by size of the template: {_STEPS}. As large as they are unless given.",
        examples=["0.5:2"],
    )
    top: int = Field(5, ge=1, le=1000, description="Most matches of each template.")
    threshold: float | None = Field(
        None, allow_inf_nan=False, description="Least score of a match; the largest, for `sqdiff` and `sqdiff_normed`."
    )
    overlap: float = Field(
        0.3, ge=0, le=1, description="Largest intersection over union of two matches of one template."
    )
    polarity: Literal["same", "either"] = Field(
        "same", description="`either`: inverted contrast is a match as well, whose score is below 0."
    )
    border: Literal["whole", "partial"] = Field(
        "whole", description="`partial`: what the scene's border cuts off is found by what is left of it."
    )
    region: str | None = Field(
        None, pattern=BOX_PATTERN, description="`x,y,width,height` in pixels of the scene: where to look."
    )
    box: str | None = Field(
        None,
        pattern=BOX_PATTERN,
        description="`x,y,width,height`, what to look for: in pixels of the reference, or of the scene where none is "
        "sent.",
    )
    picture: str | None = Field(None, pattern=DIGEST_PATTERN, description=f"In place of the scene: {BY_DIGEST}")


class MatchTiming(BaseModel):
    """Time spent on a match, in milliseconds."""

    decode_ms: float
    match_ms: float


class MatchTemplate(BaseModel):
    """A template as it was sent."""

    name: str = Field(description="File name as it was sent, or the template's number.")
    width: int
    height: int
    masked: bool = Field(description="Whether a mask, or its own transparency, says which of its pixels count.")
    flat: float = Field(description="Share of the scene, 0 to 1, that is too even to have an angle to the template.")
    outlined: bool = Field(
        description="Whether it was looked for by its outline, as it has one colour behind its mask."
    )


class FoundMatch(BaseModel):
    """A template found in the scene."""

    template: int = Field(description="Which of the templates, from 0.")
    name: str
    score: float
    x: float = Field(description="Of the centre, in pixels of the scene, pixel i covering i to i + 1.")
    y: float
    width: float = Field(description="Of the template as it lies there, in pixels.")
    height: float
    angle: float = Field(description="Degrees that it is turned by, counter-clockwise.")
    scale: float = Field(description="Its size in the scene by its size as a template.")
    corners: list[tuple[float, float]] = Field(
        description="x and y of the template's top left, top right, bottom right and bottom left corner."
    )
    visible: float = Field(description="Share of the template, 0 to 1, that lies inside the scene.")
    psr: float | None = Field(description="Peak-to-sidelobe ratio: standard deviations above the rest of the map.")
    explained: float | None = Field(
        description="Share of the contrast there, 0 to 1, that the template explains, noise aside."
    )
    rival: float | None = Field(description="Score of the best place that is no copy of the template.")
    evidence: float = Field(description="What speaks for the template less what is needed; no probability.")
    present: bool = Field(description="Whether the template is there: the evidence is above 0.")


class MatchResponse(BaseModel):
    """Answer of ``POST /match``."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "width": 1024,
                "height": 768,
                "options": {"method": "ccoeff_normed", "angles": "-180:180"},
                "device": "cpu",
                "templates": [
                    {"name": "eye.png", "width": 150, "height": 120, "masked": False, "flat": 0.01, "outlined": False}
                ],
                "matches": [
                    {
                        "template": 0,
                        "name": "eye.png",
                        "score": 0.99,
                        "x": 375,
                        "y": 290,
                        "width": 150,
                        "height": 120,
                        "angle": 0,
                        "scale": 1,
                        "corners": [[300, 230], [450, 230], [450, 350], [300, 350]],
                        "visible": 1,
                        "psr": 12.5,
                        "explained": 0.99,
                        "rival": 0.41,
                        "evidence": 5.0,
                        "present": True,
                    }
                ],
                "timing": {"decode_ms": 9.1, "match_ms": 21.5},
            }
        }
    )

    width: int = Field(description="Pixels of the scene, upright; numbers, where it is a signal.")
    height: int
    options: MatchOptions
    device: Literal["cpu", "cuda"] = Field(description="Where this match ran.")
    model: str | None = Field(None, description="Network whose features were compared, if any were.")
    version: int | None = None
    layers: list[str] = Field([], description="Layers whose features were compared.")
    templates: list[MatchTemplate]
    matches: list[FoundMatch] = Field(description="Best first.")
    timing: MatchTiming
