"""tritonclient[http] against a running service: HOST:PORT MODEL KEY."""

import itertools
import sys

import numpy as np
import tritonclient.http as client
from tritonclient.utils import InferenceServerException

address, model, key = sys.argv[1:]
headers = {"Authorization": f"Bearer {key}"}
images = np.random.default_rng(0).integers(0, 256, (100, 32, 32, 3), dtype=np.uint8)

with client.InferenceServerClient(address, concurrency=4) as server:
    assert server.is_server_live() and server.is_server_ready()
    assert server.is_model_ready(model, headers=dict(headers))
    assert not server.is_model_ready("no-such-model", headers=dict(headers))
    assert "binary_tensor_data" in server.get_server_metadata(headers=dict(headers))["extensions"]
    metadata = server.get_model_metadata(model, headers=dict(headers))
    (version,) = metadata["versions"]
    assert server.is_model_ready(model, version, headers=dict(headers))
    assert metadata["inputs"][0]["shape"] == [-1, -1, -1, 3], metadata
    config = server.get_model_config(model, headers=dict(headers))
    assert config["max_batch_size"] > 0 and config["input"][0]["dims"] == [-1, -1, 3], config
    index = {each["name"]: each["state"] for each in server.get_model_repository_index(headers=dict(headers))}
    assert index[model] == "READY", index

    classes = metadata["outputs"][0]["shape"][-1]
    answers = []
    ways = itertools.product((True, False), (True, False), (None, "gzip", "deflate"), (None, "gzip", "deflate"))
    for binary_in, binary_out, packed_in, packed_out in ways:
        tensor = client.InferInput("image", images.shape, "UINT8")
        tensor.set_data_from_numpy(images, binary_data=binary_in)
        result = server.infer(
            model,
            [tensor],
            outputs=[client.InferRequestedOutput("logits", binary_data=binary_out)],
            request_id="seven",
            headers=dict(headers),
            request_compression_algorithm=packed_in,
            response_compression_algorithm=packed_out,
        )
        assert result.get_response()["id"] == "seven"
        answers.append(result.as_numpy("logits"))
        assert answers[-1].shape == (len(images), classes)
    assert all(np.allclose(answers[0], answer, atol=1e-4) for answer in answers)

    floats = client.InferInput("image", images.shape, "FP32")
    floats.set_data_from_numpy(images.astype(np.float32))
    asked = server.async_infer(model, [floats], model_version=version, headers=dict(headers), timeout=20_000_000)
    assert np.allclose(asked.get_result().as_numpy("logits"), answers[0], atol=1e-4)

    top = client.InferRequestedOutput("logits", class_count=2)
    best = server.infer(model, [floats], outputs=[top], headers=dict(headers)).as_numpy("logits")
    assert best.shape == (len(images), 2)
    assert [int(row[0].decode().split(":")[1]) for row in best] == answers[0].argmax(1).tolist()

    try:
        server.infer(model, [floats], outputs=[client.InferRequestedOutput("cat")], headers=dict(headers))
        raise AssertionError("an unknown output was answered")
    except InferenceServerException as error:
        assert "one output, logits; 'cat' was asked for" in error.message(), error
    try:
        server.get_server_metadata()
        raise AssertionError("no key was needed")
    except InferenceServerException as error:
        assert error.status() == "401", error

    statistics = server.get_inference_statistics(model, headers=dict(headers))["model_stats"][0]
    assert statistics["inference_count"] >= 36 * len(images), statistics
    assert statistics["inference_stats"]["success"]["count"] >= 36 and statistics["batch_stats"]
    assert server.get_inference_statistics(headers=dict(headers))["model_stats"]

    server.unload_model(model, headers=dict(headers))
    assert not server.is_model_ready(model, headers=dict(headers))
    server.load_model(model, headers=dict(headers))
    assert server.is_model_ready(model, headers=dict(headers))
print("tritonclient[http]: ok")
