"""The methods by which a class is explained, and what each of them needs."""

from __future__ import annotations

from typing import Literal, get_args

Method = Literal["exact", "gradcam", "layercam", "scorecam", "occlusion", "eigencam"]
METHODS: tuple[Method, ...] = get_args(Method)
BY_GRADIENT: tuple[Method, ...] = ("gradcam", "layercam")
WITHOUT_GRADIENT: tuple[Method, ...] = ("scorecam", "occlusion", "eigencam")
SIGNED: tuple[Method, ...] = ("occlusion", "eigencam")  # may be negative, whatever the layer's own maps are
