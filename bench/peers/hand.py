"""Peer (a): the endpoint that one writes by hand: FastAPI, Pillow and ONNX Runtime, a run for every request.

uvicorn --app-dir bench/peers hand:app, with MODEL the ONNX file and INTRA the threads of a run, 0 for all. Made to be
fast: the answer goes out as a response of its own, past FastAPI's encoder. ``/noop`` is FastAPI alone, ``hand:plain``
uvicorn alone.
"""

import io
import json
import os
from pathlib import Path
from typing import Annotated

import numpy as np
import onnxruntime as ort
from fastapi import Body, FastAPI, Request, UploadFile
from fastapi.responses import JSONResponse
from PIL import Image

MODEL = Path(os.environ["MODEL"])
LABELS = json.loads((MODEL.parent / "card.json").read_text())["labels"]
options = ort.SessionOptions()
options.intra_op_num_threads = int(os.environ["INTRA"])
session = ort.InferenceSession(MODEL, options)
app = FastAPI()


def classify(image: bytes) -> JSONResponse:
    pixels = np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))
    (logits,) = session.run(["logits"], {"image": pixels[None]})
    powers = np.exp(logits[0] - logits[0].max())
    share = powers / powers.sum()
    best = np.argsort(-share)[:5].tolist()
    return JSONResponse({"classes": [{"label": LABELS[i], "index": i, "probability": float(share[i])} for i in best]})


@app.post("/predict")
async def predict(request: Request):
    return classify(await request.body())


@app.post("/predict-on-a-thread")
def predict_on_a_thread(image: Annotated[bytes, Body(media_type="image/png")]):
    return classify(image)


@app.post("/predict-form")
async def predict_form(file: UploadFile):
    return classify(await file.read())


@app.post("/predict-form-on-a-thread")
def predict_form_on_a_thread(file: UploadFile):
    return classify(file.file.read())


@app.post("/noop")
async def noop(request: Request):
    await request.body()
    return JSONResponse({"classes": []})


async def plain(scope, receive, send):
    if scope["type"] == "http":
        await receive()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})
