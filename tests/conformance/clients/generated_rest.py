"""The client generated from the protocol's OpenAPI description against a running service: HOST:PORT MODEL KEY."""

import sys

import httpx
import numpy as np
from open_inference.openapi.client import OpenInferenceClient
from open_inference.openapi.errors import NotFoundError
from open_inference.openapi.types import InferenceRequest, RequestInput, RequestOutput, TensorData

address, model, key = sys.argv[1:]
images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)

with httpx.Client(headers={"x-api-key": key}) as connection:
    server = OpenInferenceClient(base_url=f"http://{address}", httpx_client=connection)
    server.check_server_liveness()
    server.check_server_readiness()
    server.check_model_readiness(model)
    try:
        server.check_model_readiness("no-such-model")
        raise AssertionError("an unknown model is ready")
    except NotFoundError:
        pass
    assert server.read_server_metadata().name == "scs-serve"
    metadata = server.read_model_metadata(model)
    (version,) = metadata.versions
    server.check_model_version_readiness(model, version)
    assert metadata == server.read_model_version_metadata(model, version)
    answers = []
    for data in (images.ravel().tolist(), images.tolist()):
        tensor = RequestInput(name="image", shape=list(images.shape), datatype="UINT8", data=TensorData.parse_obj(data))
        request = InferenceRequest(id="seven", inputs=[tensor], outputs=[RequestOutput(name="logits")])
        for answer in (
            server.model_infer(model, request=request),
            server.model_version_infer(model, version, request=request),
        ):
            assert (answer.id, answer.model_name) == ("seven", model)
            (output,) = answer.outputs
            answers.append(np.array(output.data.dict()["__root__"]).reshape(output.shape))
    assert answers[0].shape == (2, metadata.outputs[0].shape[-1])
    assert all(np.allclose(answers[0], answer, atol=1e-5) for answer in answers)
print("open-inference-openapi: ok")
