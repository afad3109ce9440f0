"""Peer (c): BentoML, with its adaptive batching. MODEL is the ONNX file, INTRA the threads of a run."""

import json
import os
from pathlib import Path

import bentoml
import numpy as np
import onnxruntime as ort
from PIL.Image import Image

MODEL = Path(os.environ["MODEL"])
LABELS = json.loads((MODEL.parent / "card.json").read_text())["labels"]
BATCH = int(os.environ["BATCH"])


def ranked(share):
    best = np.argsort(-share)[:5].tolist()
    return {"classes": [{"label": LABELS[i], "index": i, "probability": float(share[i])} for i in best]}


@bentoml.service(workers=1, traffic={"timeout": 60}, metrics={"enabled": False}, logging={"access": {"enabled": False}})
class Classifier:
    def __init__(self):
        options = ort.SessionOptions()
        options.intra_op_num_threads = int(os.environ["INTRA"])
        self.session = ort.InferenceSession(MODEL, options)

    def shares(self, pictures):
        pixels = np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])
        (logits,) = self.session.run(["logits"], {"image": pixels})
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)

    @bentoml.api(batchable=True, max_batch_size=BATCH, max_latency_ms=1000)
    def predict(self, pictures: list[Image]) -> list[dict]:
        return [ranked(share) for share in self.shares(pictures)]

    @bentoml.api
    def single(self, picture: Image, /) -> dict:
        return ranked(self.shares([picture])[0])
