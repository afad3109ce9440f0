"""Peer (c): MLServer, with its adaptive batching: the picture as base64 in a BYTES tensor, as its protocol sends one.

``mlserver start FOLDER``, where model-settings.json names ``ml.Classifier``. MODEL is the ONNX file.
"""

import io
import json
import os
from pathlib import Path

import numpy as np
import onnxruntime as ort
from fastapi import Request, Response
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.codecs.base64 import Base64Codec
from mlserver.handlers import custom_handler
from mlserver.types import InferenceResponse
from PIL import Image

MODEL = Path(os.environ["MODEL"])
LABELS = json.loads((MODEL.parent / "card.json").read_text())["labels"]


class Classifier(MLModel):
    async def load(self):
        options = ort.SessionOptions()
        options.intra_op_num_threads = int(os.environ["INTRA"])
        self.session = ort.InferenceSession(MODEL, options)
        return True

    def shares(self, pictures):
        pixels = np.stack([np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")) for picture in pictures])
        (logits,) = self.session.run(["logits"], {"image": pixels})
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)

    async def predict(self, payload):
        pictures = Base64Codec.decode_input(payload.inputs[0])
        output = NumpyCodec.encode_output("probabilities", self.shares(pictures))
        return InferenceResponse(model_name=self.name, outputs=[output])

    @custom_handler(rest_path="/predict")
    async def raw(self, request: Request) -> Response:
        share = self.shares([await request.body()])[0]
        best = np.argsort(-share)[:5].tolist()
        answer = {"classes": [{"label": LABELS[i], "index": i, "probability": float(share[i])} for i in best]}
        return Response(json.dumps(answer), media_type="application/json")
