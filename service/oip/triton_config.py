"""A model's configuration in Triton's form, which its tools ask for before they send anything."""

from __future__ import annotations

from typing import Any

from models.cards.card import Format, ModelCard
from models.runtime.load import Device
from service.oip.images import INPUT
from service.oip.metadata import OUTPUT, PLATFORMS, image_shape, outputs
from service.settings import Settings

_BACKENDS: dict[Format, str] = {"onnx": "onnxruntime", "torchscript": "pytorch"}
_KINDS: dict[Device, str] = {"cpu": "KIND_CPU", "cuda": "KIND_GPU"}


def model_config(card: ModelCard, device: Device, settings: Settings) -> dict[str, Any]:
    """Return a model's configuration; tensors' dimensions are without the batch's, as there is a batch size."""
    own = card.serving
    delay_us = settings.max_queue_delay_us if own.max_queue_delay_us is None else own.max_queue_delay_us
    timeout_us = int((own.timeout_s or settings.request_timeout_s) * 1e6)
    return {
        "name": card.name,
        "platform": PLATFORMS[card.format],
        "backend": _BACKENDS[card.format],
        "version_policy": {"all": {}},
        "max_batch_size": own.max_batch_size or settings.max_batch_size,
        "input": [
            {
                "name": INPUT,
                "data_type": "TYPE_UINT8",
                "format": "FORMAT_NHWC",
                "dims": image_shape(card),
                "optional": False,
            }
        ],
        "output": [{"name": OUTPUT, "data_type": "TYPE_FP32", "dims": [classes]} for classes in outputs(card)],
        "dynamic_batching": {
            "preferred_batch_size": [],
            "max_queue_delay_microseconds": delay_us,
            "preserve_ordering": False,
            "default_queue_policy": {
                "timeout_action": "REJECT",
                "default_timeout_microseconds": timeout_us,
                "allow_timeout_override": True,
                "max_queue_size": own.max_queue or settings.max_queue,
            },
        },
        "instance_group": [{"name": f"{card.name}_0", "kind": _KINDS[device], "count": 1}],
        "default_model_filename": card.file_name,
        "parameters": {},
        "model_transaction_policy": {"decoupled": False},
    }
