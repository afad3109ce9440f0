"""The classes of a folder of pictures by Ray Data as its guide has it: read the images, then map batches in actors."""

import sys

import numpy as np
import onnxruntime as ort
import ray


class Model:
    def __init__(self, model):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(model, options, ["CPUExecutionProvider"])

    def __call__(self, batch):
        (logits,) = self.session.run(["logits"], {"image": np.stack(batch["image"])})
        return {"name": batch["path"], "class": logits.argmax(1)}


if __name__ == "__main__":
    model, folder, out, processes = sys.argv[1:]
    ray.init("local", log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    images = ray.data.read_images(folder, size=(32, 32), mode="RGB", include_paths=True)
    actors = ray.data.ActorPoolStrategy(min_size=1, max_size=int(processes))
    images.map_batches(Model, fn_constructor_args=[model], batch_size=32, compute=actors).write_parquet(out)
