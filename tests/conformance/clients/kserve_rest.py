"""kserve's InferenceRESTClient against a running service: HOST:PORT MODEL KEY."""

import asyncio
import sys

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

address, model, key = sys.argv[1:]
headers = {"x-api-key": key}
images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
url = f"http://{address}"


async def ask() -> None:
    server = InferenceRESTClient(RESTConfig(protocol="v2"))
    assert await server.is_server_live(url)
    assert await server.is_server_ready(url)
    assert await server.is_model_ready(url, model, headers=dict(headers))
    assert not await server.is_model_ready(url, "no-such-model", headers=dict(headers))
    answers = []
    for binary in (True, False):
        tensor = InferInput("image", list(images.shape), "UINT8")
        tensor.set_data_from_numpy(images, binary_data=binary)
        request = InferRequest(model, [tensor], request_id="seven")
        response = await server.infer(url, request, model_name=model, headers=dict(headers))
        assert (response.id, response.model_name) == ("seven", model)
        answers.append(response.outputs[0].as_numpy())
        assert answers[-1].shape[0] == len(images) and answers[-1].dtype == np.float32
    assert np.allclose(*answers, atol=1e-5)
    try:
        await server.infer(url, InferRequest(model, [tensor]), model_name="no-such-model", headers=dict(headers))
        raise AssertionError("an unknown model was answered")
    except httpx.HTTPStatusError as error:
        assert error.response.status_code == 404 and "no model" in error.response.json()["error"]
    await server.close()


asyncio.run(ask())
print("kserve: ok")
