"""What gRPC's own tools ask for: health, reflection, and TLS."""

import shutil
import socket
import subprocess
import time

import grpc
import pytest
from fastapi.testclient import TestClient
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from scs.errors import OptionError
from service.app import create_app

INFERENCE = "inference.GRPCInferenceService"
KEY = "a-key-of-the-tests-0123456789abcdef"
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def changed(settings, **changes):
    return type(settings)(**settings.model_dump() | {"grpc_port": free_port()} | changes)


def channel_to(settings):
    return grpc.insecure_channel(f"127.0.0.1:{settings.grpc_port}", options=[("grpc.enable_http_proxy", 0)])


@pytest.fixture(scope="module")
def keyed(settings):
    settings = changed(settings, api_key=KEY)
    app = create_app(settings)
    with TestClient(app), channel_to(settings) as channel:
        yield app, channel


def check(channel, name=""):
    return health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=name), timeout=60).status


def test_health_needs_no_key_and_follows_readiness(keyed, monkeypatch):
    app, channel = keyed
    assert check(channel) == check(channel, INFERENCE) == SERVING
    monkeypatch.setattr(app.state.services.stopping, "begun", True)
    assert check(channel) == check(channel, INFERENCE) == NOT_SERVING


def test_the_health_of_a_service_that_there_is_not_is_not_found(keyed):
    with pytest.raises(grpc.RpcError) as caught:
        check(keyed[1], "another")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_whoever_watches_health_is_told_of_a_change(keyed, monkeypatch):
    app, channel = keyed
    watched = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=60)
    assert next(watched).status == SERVING
    monkeypatch.setattr(app.state.services.stopping, "begun", True)
    assert next(watched).status == NOT_SERVING
    watched.cancel()


def test_whoever_watches_does_not_hold_up_a_stop(settings):
    settings = changed(settings, grace_s=120.0)
    with channel_to(settings) as channel:
        with TestClient(create_app(settings)):
            watched = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert next(watched).status == SERVING
            started = time.monotonic()
        assert time.monotonic() - started < settings.grace_s


def test_reflection_describes_the_services(settings):
    settings = changed(settings)
    with TestClient(create_app(settings)), channel_to(settings) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert {INFERENCE, "grpc.health.v1.Health"} <= set(database.get_services())
        pool = DescriptorPool(database)
        assert "ModelInfer" in pool.FindServiceByName(INFERENCE).methods_by_name
        assert "Watch" in pool.FindServiceByName("grpc.health.v1.Health").methods_by_name


def test_reflection_needs_the_key(keyed):
    with pytest.raises(grpc.RpcError) as caught:
        ProtoReflectionDescriptorDatabase(keyed[1]).get_services()
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if not shutil.which("openssl"):
        pytest.skip("needs openssl, to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    files = ["-keyout", folder / "tls.key", "-out", folder / "tls.crt", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command, *files], check=True, capture_output=True)
    return folder / "tls.crt", folder / "tls.key"


def test_with_a_certificate_and_its_key_grpc_has_tls(settings, certificate):
    cert, key = certificate
    settings = changed(settings, grpc_tls_cert=cert, grpc_tls_key=key)
    with TestClient(create_app(settings)):
        credentials = grpc.ssl_channel_credentials(cert.read_bytes())
        options = [("grpc.enable_http_proxy", 0), ("grpc.ssl_target_name_override", "localhost")]
        with grpc.secure_channel(f"127.0.0.1:{settings.grpc_port}", credentials, options=options) as channel:
            assert check(channel) == SERVING
        with channel_to(settings) as channel, pytest.raises(grpc.RpcError) as caught:
            check(channel)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("wrong", ["one", "missing", "no PEM"])
def test_files_that_cannot_be_used_for_tls_stop_the_start(settings, tmp_path, wrong):
    file = tmp_path / "tls.pem"
    if wrong == "no PEM":
        file.write_bytes(b"0\x82")
    changes = {"grpc_tls_cert": file} | ({} if wrong == "one" else {"grpc_tls_key": file})
    says = {"one": "are needed both; one came", "missing": "cannot be read", "no PEM": "PEM form was needed"}[wrong]
    app = create_app(changed(settings, **changes))
    with pytest.raises(OptionError, match=f"SCS_GRPC_TLS_CERT.* {says}"), TestClient(app):
        pass
