import socket
import subprocess
import sys

import grpc
import numpy as np
import pytest
from fastapi.testclient import TestClient
from google.protobuf.message_factory import GetMessageClass
from PIL import Image

from scs.errors import OptionError
from service.app import create_app
from service.http.problems import STATUSES as HTTP_STATUSES
from service.oip.datatypes import read_byte_strings
from service.oip.grpc import messages as proto
from service.oip.grpc.server import STATUSES
from service.settings import Settings
from tests.service.hostile_models import NAN_AT_9, put
from tests.service.pixel_model import put_pixels

NAME = "shapes-scs"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Caller:
    """Calls methods of the service by their names, with messages as keywords."""

    def __init__(self, port: int, **metadata: str) -> None:
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_http_proxy", 0)])
        self.metadata = tuple(metadata.items())

    def __call__(self, method: str, metadata=(), compression=None, **content):
        described = proto.service().methods_by_name[method]
        asked, answer = GetMessageClass(described.input_type), GetMessageClass(described.output_type)
        call = self.channel.unary_unary(
            f"/inference.GRPCInferenceService/{method}", asked.SerializeToString, answer.FromString
        )
        return call(asked(**content), timeout=60, metadata=metadata, compression=compression)

    def refused(self, method: str, metadata=(), **content) -> tuple[grpc.StatusCode, str]:
        with pytest.raises(grpc.RpcError) as caught:
            self(method, metadata, **content)
        return caught.value.code(), caught.value.details()


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def app_client(settings, port):
    with TestClient(create_app(settings.model_copy(update={"grpc_port": port}))) as client:
        yield client


@pytest.fixture(scope="module")
def call(app_client, port):
    caller = Caller(port)
    with caller.channel:
        yield caller


def image(images: np.ndarray, **changes) -> dict:
    return {"name": "image", "datatype": "UINT8", "shape": images.shape} | changes


def scores(answer) -> np.ndarray:
    (output,), (raw,) = answer.outputs, answer.raw_output_contents
    assert (output.name, output.datatype) == ("logits", "FP32")
    return np.frombuffer(raw, "<f4").reshape(output.shape)


@pytest.fixture(scope="module")
def images(shapes) -> np.ndarray:
    return shapes.test_images[:5]


def test_the_server_is_live_and_ready_and_says_what_it_is(call):
    assert call("ServerLive").live and call("ServerReady").ready
    metadata = call("ServerMetadata")
    assert metadata.name == "scs-serve" and "binary_tensor_data" in metadata.extensions


def test_the_server_is_not_ready_once_it_is_about_to_stop(call, app_client, monkeypatch):
    monkeypatch.setattr(app_client.app.state.services.stopping, "begun", True)
    assert call("ServerLive").live and not call("ServerReady").ready


def test_a_model_says_what_its_tensors_are_as_over_http(call, app_client):
    described = call("ModelMetadata", name=NAME, version="1")
    there = app_client.get(f"/v2/models/{NAME}").json()
    assert (described.name, list(described.versions), described.platform) == (NAME, ["1"], there["platform"])
    assert [list(tensor.shape) for tensor in described.inputs] == [there["inputs"][0]["shape"]]
    assert call("ModelReady", name=NAME).ready


def test_a_models_configuration_is_that_of_http(call, app_client):
    config = call("ModelConfig", name=NAME).config
    there = app_client.get(f"/v2/models/{NAME}/config").json()
    assert (config.max_batch_size, config.backend) == (there["max_batch_size"], there["backend"])
    assert list(config.input[0].dims) == there["input"][0]["dims"] and config.WhichOneof("scheduling_choice")


def test_the_statistics_are_those_of_http(call, app_client, images):
    call("ModelInfer", model_name=NAME, inputs=[image(images)], raw_input_contents=[images.tobytes()])
    (counted,) = call("ModelStatistics", name=NAME, version="1").model_stats
    (there,) = app_client.get(f"/v2/models/{NAME}/stats").json()["model_stats"]
    assert counted.inference_count == there["inference_count"] >= 5
    assert counted.inference_stats.success.count == there["inference_stats"]["success"]["count"]
    assert len(call("ModelStatistics").model_stats) >= 2


def test_raw_contents_get_the_logits_of_http(call, app_client, images):
    logits = app_client.app.state.services.models.get(NAME).runtime.logits(images)
    raw = call("ModelInfer", model_name=NAME, id="7", inputs=[image(images)], raw_input_contents=[images.tobytes()])
    assert np.allclose(scores(raw), logits, atol=1e-5)
    assert (raw.model_name, raw.model_version, raw.id) == (NAME, "1", "7")


@pytest.mark.parametrize(
    ("datatype", "field"),
    [("UINT8", "uint_contents"), ("INT32", "int_contents"), ("FP32", "fp32_contents"), ("FP64", "fp64_contents"),
     ("INT64", "int64_contents"), ("UINT64", "uint64_contents")],
)  # fmt: skip
def test_typed_contents_are_read_too(call, app_client, images, datatype, field):
    tensor = image(images, datatype=datatype, contents={field: images.ravel().tolist()})
    logits = app_client.app.state.services.models.get(NAME).runtime.logits(images)
    assert np.allclose(scores(call("ModelInfer", model_name=NAME, inputs=[tensor])), logits, atol=1e-5)


def test_encoded_pictures_and_classes(call, jpeg, shapes):
    tensor = {"name": "image", "datatype": "BYTES", "shape": [2], "contents": {"bytes_contents": [jpeg, jpeg]}}
    outputs = [{"name": "logits", "parameters": {"classification": {"int64_param": 1}}}]
    answer = call("ModelInfer", model_name=NAME, inputs=[tensor], outputs=outputs)
    first, second = read_byte_strings(memoryview(answer.raw_output_contents[0]), 2)
    assert first == second and first.decode().split(":")[2] in shapes.classes


def test_encoded_pictures_are_cropped_as_the_card_says(tmp_path, photograph, encode):
    geometry = {"mode": "crop", "shorter_side": 128, "interpolation": "bicubic", "antialias": True}
    put_pixels(tmp_path, "crop", 112, 112, geometry)
    port = free_port()
    settings = Settings(model_repository=tmp_path, default_model="crop", device="cpu", grpc_port=port)
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "contents": {"bytes_contents": [encode(photograph)]}}
    with TestClient(create_app(settings)):
        caller = Caller(port)
        with caller.channel:
            came = scores(caller("ModelInfer", model_name="crop", inputs=[tensor]))
    crop = Image.fromarray(photograph).resize((192, 128), Image.Resampling.BICUBIC).crop((40, 8, 152, 120))
    assert came[0] == pytest.approx(np.asarray(crop).mean((0, 1)), rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "status", "sentence"),
    [
        ({"model_name": "cat"}, grpc.StatusCode.NOT_FOUND, "no model 'cat'"),
        ({"model_version": "9"}, grpc.StatusCode.NOT_FOUND, "no version 9"),
        ({"outputs": [{"name": "cat"}]}, grpc.StatusCode.INVALID_ARGUMENT, "one output, logits"),
        ({"outputs": [{"name": "logits"}] * 2}, grpc.StatusCode.INVALID_ARGUMENT, "once; logits was asked for 2 times"),
        ({"outputs": [{"name": "logits"}] * 20_000}, grpc.StatusCode.INVALID_ARGUMENT, "may have 16 outputs; 20000"),
        ({"inputs": [{"name": "image"}] * 20_000}, grpc.StatusCode.INVALID_ARGUMENT, "may have 16 inputs; 20000 came"),
        ({"raw_input_contents": []}, grpc.StatusCode.INVALID_ARGUMENT, "needs 3840 values; 0 came"),
        ({"raw_input_contents": [b"", b""]}, grpc.StatusCode.INVALID_ARGUMENT, "one entry an input; 2 came for 1"),
        ({"raw_input_contents": [b"abc"]}, grpc.StatusCode.INVALID_ARGUMENT, "needs 3840 bytes; 3 came"),
        ({"inputs": []}, grpc.StatusCode.INVALID_ARGUMENT, "1 came for 0"),
        (
            {"parameters": {"timeout": {"string_param": "soon"}}},
            grpc.StatusCode.INVALID_ARGUMENT,
            "timeout needs to be a whole number",
        ),
    ],
)
def test_what_cannot_be_answered_is_refused_in_a_sentence(call, images, changes, status, sentence):
    asked = {"model_name": NAME, "inputs": [image(images)], "raw_input_contents": [images.tobytes()]} | changes
    code, details = call.refused("ModelInfer", **asked)
    assert code == status and sentence in details


def test_negative_sizes_are_refused(call, images):
    code, _ = call.refused("ModelInfer", model_name=NAME, inputs=[image(images, shape=[-1, 16, 16, 3])])
    assert code == grpc.StatusCode.INVALID_ARGUMENT


def test_a_message_above_the_limit_is_refused(settings):
    port = free_port()
    with TestClient(create_app(settings.model_copy(update={"grpc_port": port, "max_body_bytes": 10_000}))):
        caller = Caller(port)
        with caller.channel:
            code, _ = caller.refused("ModelInfer", model_name=NAME, raw_input_contents=[bytes(20_000)])
            assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
            packed = {"compression": grpc.Compression.Gzip, "raw_input_contents": [bytes(1_000_000)]}
            code, _ = caller.refused("ModelInfer", model_name=NAME, **packed)
            assert code == grpc.StatusCode.RESOURCE_EXHAUSTED, "a bomb is as large as what it expands to"
            assert caller("ServerLive").live


def test_with_an_api_key_only_health_answers_without_it(settings):
    key, port = "a-key-of-many-letters-0123456789", free_port()
    with TestClient(create_app(type(settings)(**settings.model_dump() | {"grpc_port": port, "api_key": key}))):
        caller = Caller(port)
        with caller.channel:
            assert caller("ServerLive").live and caller("ServerReady").ready
            for metadata in ((), (("authorization", "Bearer other"),), (("x-api-key", "other"),), (("key", key),)):
                assert caller.refused("ServerMetadata", metadata)[0] == grpc.StatusCode.UNAUTHENTICATED
            for metadata in ((("authorization", f"Bearer {key}"),), (("x-api-key", key),), (("x-api-key", f" {key}"),)):
                assert caller("ServerMetadata", metadata).name == "scs-serve"


def test_the_index_says_what_there_is_and_models_are_changed_only_with_a_key(settings, call):
    there = {(each.name, each.version): each.state for each in call("RepositoryIndex", ready=True).models}
    assert there[NAME, "1"] == "READY"
    assert call.refused("RepositoryModelUnload", model_name=NAME)[0] == grpc.StatusCode.PERMISSION_DENIED
    key, port = "a-key-of-many-letters-0123456789", free_port()
    with TestClient(create_app(type(settings)(**settings.model_dump() | {"grpc_port": port, "api_key": key}))):
        caller, metadata = Caller(port), (("x-api-key", key),)
        with caller.channel:
            caller("RepositoryModelUnload", metadata, model_name=NAME)
            assert not caller("ModelReady", metadata, name=NAME).ready
            given = {"config": {"string_param": "{}"}}
            code, _ = caller.refused("RepositoryModelLoad", metadata, model_name=NAME, parameters=given)
            assert code == grpc.StatusCode.INVALID_ARGUMENT
            caller("RepositoryModelLoad", metadata, model_name=NAME)
            assert caller("ModelReady", metadata, name=NAME).ready
            assert caller.refused("RepositoryModelLoad", metadata, model_name="cat")[0] == grpc.StatusCode.NOT_FOUND


def test_every_error_has_a_status_where_it_has_one_over_http():
    assert {kind for kind in HTTP_STATUSES if not any(base in STATUSES for base in kind.__mro__)} == set()


def test_a_port_that_is_taken_is_said(settings):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        app = create_app(settings.model_copy(update={"grpc_port": taken.getsockname()[1]}))
        with pytest.raises(OptionError, match="SCS_GRPC_PORT: .* cannot be listened on"), TestClient(app):
            pass


def test_without_its_port_grpc_is_not_even_imported():
    code = "import sys, service.app; service.app.create_app(); assert 'grpc' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_network_whose_logits_are_not_finite_or_that_takes_another_size_says_so(tmp_path):
    put(tmp_path, "nan", NAN_AT_9, taken="N,8,8")
    settings = Settings(model_repository=tmp_path, default_model="nan", device="cpu", grpc_port=free_port())
    with TestClient(create_app(settings)):
        caller = Caller(settings.grpc_port)
        with caller.channel:
            for value, side, code, words in (
                (9, 8, grpc.StatusCode.INTERNAL, "nan 1 gave logits that are not finite"),
                (8, 9, grpc.StatusCode.INVALID_ARGUMENT, "the network takes pictures of 8x8 only"),
            ):
                pixels = np.full((1, side, side, 1), value, np.uint8)
                sent = {"model_name": "nan", "inputs": [image(pixels)], "raw_input_contents": [pixels.tobytes()]}
                came, said = caller.refused("ModelInfer", **sent)
                assert came == code and words in said
