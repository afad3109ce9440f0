"""The classes of a folder of pictures by a plain script: a pool of processes, Pillow, ONNX Runtime, pyarrow."""

import multiprocessing
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

AT_ONCE = 32
session = None


def open_session(model):
    global session
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model, options, ["CPUExecutionProvider"])


def classify(paths):
    images = [np.asarray(Image.open(path).convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)) for path in paths]
    (logits,) = session.run(["logits"], {"image": np.stack(images)})
    return [(str(path), int(best)) for path, best in zip(paths, logits.argmax(1), strict=True)]


if __name__ == "__main__":
    model, folder, out, processes = sys.argv[1:]
    paths = sorted(Path(folder).iterdir())
    groups = [paths[i : i + AT_ONCE] for i in range(0, len(paths), AT_ONCE)]
    with multiprocessing.Pool(int(processes), open_session, [model]) as pool:
        rows = [row for group in pool.imap_unordered(classify, groups) for row in group]
    pq.write_table(pa.table({"name": [row[0] for row in rows], "class": [row[1] for row in rows]}), out)
