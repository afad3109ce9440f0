"""tritonclient[grpc] against a running service: HOST:PORT MODEL KEY."""

import itertools
import sys

import numpy as np
import tritonclient.grpc as client
from tritonclient.utils import InferenceServerException

address, model, key = sys.argv[1:]
headers = {"authorization": f"Bearer {key}"}
images = np.random.default_rng(0).integers(0, 256, (100, 32, 32, 3), dtype=np.uint8)
direct = [("grpc.enable_http_proxy", 0)]

with client.InferenceServerClient(address, channel_args=direct) as server:
    assert server.is_server_live() and server.is_server_ready()
    assert server.is_model_ready(model, headers=headers)
    assert "statistics" in server.get_server_metadata(headers=headers).extensions
    metadata = server.get_model_metadata(model, headers=headers)
    assert server.is_model_ready(model, metadata.versions[0], headers=headers)
    assert list(metadata.inputs[0].shape) == [-1, -1, -1, 3], metadata
    config = server.get_model_config(model, headers=headers).config
    assert config.max_batch_size > 0 and list(config.input[0].dims) == [-1, -1, 3], config
    assert (
        config.WhichOneof("scheduling_choice") == "dynamic_batching" and not config.model_transaction_policy.decoupled
    )
    index = {each.name: each.state for each in server.get_model_repository_index(headers=headers).models}
    assert index[model] == "READY", index

    answers = []
    for datatype, packed in itertools.product(("UINT8", "FP32"), (None, "gzip", "deflate")):
        tensor = client.InferInput("image", images.shape, datatype)
        tensor.set_data_from_numpy(images.astype(np.uint8 if datatype == "UINT8" else np.float32))
        outputs = [client.InferRequestedOutput("logits")]
        result = server.infer(
            model, [tensor], outputs=outputs, request_id="seven", headers=headers, compression_algorithm=packed
        )
        assert result.get_response().id == "seven"
        answers.append(result.as_numpy("logits"))
    assert all(np.allclose(answers[0], answer, atol=1e-4) for answer in answers)

    top = client.InferRequestedOutput("logits", class_count=2)
    best = server.infer(model, [tensor], outputs=[top], headers=headers).as_numpy("logits")
    assert [int(row[0].decode().split(":")[1]) for row in best] == answers[0].argmax(1).tolist()

    try:
        server.infer("no-such-model", [tensor], headers=headers)
        raise AssertionError("an unknown model was answered")
    except InferenceServerException as error:
        assert "NOT_FOUND" in error.status() and "no model 'no-such-model'" in error.message(), error
    try:
        server.get_server_metadata()
        raise AssertionError("no key was needed")
    except InferenceServerException as error:
        assert "UNAUTHENTICATED" in error.status(), error

    statistics = server.get_inference_statistics(model, headers=headers).model_stats[0]
    assert statistics.inference_count >= 6 * len(images), statistics
    assert statistics.inference_stats.success.count >= 6 and statistics.batch_stats

    server.unload_model(model, headers=headers)
    assert not server.is_model_ready(model, headers=headers)
    server.load_model(model, headers=headers)
    assert server.is_model_ready(model, headers=headers)
print("tritonclient[grpc]: ok")
