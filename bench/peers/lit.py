"""Peer (b): LitServe with batching. MODEL is the ONNX file; the rest of its settings are arguments.

The picture is the raw body: a form would be slower, and LitServe hands its files to the worker through a queue.
"""

import argparse
import io
import json
import os
from pathlib import Path
from typing import Annotated

import litserve
import numpy as np
import onnxruntime as ort
from fastapi import Body
from PIL import Image

MODEL = Path(os.environ["MODEL"])
LABELS = json.loads((MODEL.parent / "card.json").read_text())["labels"]


class Classifier(litserve.LitAPI):
    def setup(self, device):
        options = ort.SessionOptions()
        options.intra_op_num_threads = int(os.environ["INTRA"])
        self.session = ort.InferenceSession(MODEL, options)

    def decode_request(self, request: Annotated[bytes, Body(media_type="image/png")]):
        return np.asarray(Image.open(io.BytesIO(request)).convert("RGB"))

    def batch(self, inputs):
        return np.stack(inputs)

    def predict(self, batch):
        (logits,) = self.session.run(["logits"], {"image": batch})
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)

    def unbatch(self, output):
        return output

    def encode_response(self, output):
        best = np.argsort(-output)[:5].tolist()
        return {"classes": [{"label": LABELS[i], "index": i, "probability": float(output[i])} for i in best]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--timeout", type=float)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--fast-queue", action="store_true")
    given = parser.parse_args()
    server = litserve.LitServer(
        Classifier(max_batch_size=given.batch, batch_timeout=given.timeout),
        accelerator="cpu",
        workers_per_device=given.workers,
        fast_queue=given.fast_queue,
    )
    server.run(host="127.0.0.1", port=given.port, log_level="warning", access_log=False, generate_client_file=False)
