"""Options and answer of ``POST /predict``."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from service.api.models import ModelOptions
from service.api.ranking import Ranking, Timing


class PredictOptions(ModelOptions):
    """Options of ``POST /predict``."""

    top_k: int = Field(5, ge=1, le=1000, description="Classes, or templates, to name, best first.")
    resize: str = Field(
        "card",
        pattern=r"^(card|none|[1-9][0-9]{0,4})$",
        description="`card`: to the size the model was trained on, cropped or padded as its card says (a bank of "
        "templates: not at all); `none`: not at all; a number: pixels of the longer side.",
    )
    partial: bool = Field(
        False, description="Whether the other pictures are answered where some cannot be read; `failures` says which."
    )


class ImagePrediction(BaseModel):
    """The size of one picture and its best classes."""

    name: str = Field(description="File name as it was sent, or the picture's number.")
    width: int = Field(description="Pixels, upright.")
    height: int
    classes: Ranking


class Failure(BaseModel):
    """A picture that could not be read, of several."""

    name: str = Field(description="File name as it was sent, or the picture's number.")
    number: int = Field(description="Which of the files that were sent, from 1.")
    detail: str = Field(description="What was needed and what came.")


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
    failures: list[Failure] = Field([], description="With `partial=true`, the files that could not be read.")
    timing: Timing
