"""A real process sends its spans to a receiver that takes OTLP over HTTP."""

import io
import json
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2 as httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from PIL import Image

from models.cards.catalogue import bundled_repository

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def receiver():
    """A collector in a thread, and the spans that it got."""
    spans = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(scope.spans)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", spans
        server.shutdown()
        thread.join()


def test_a_request_is_a_span_with_its_stages_below_it(receiver, serve, tmp_path):
    endpoint, spans = receiver
    shutil.copytree(bundled_repository() / "mnist-conv", tmp_path / "mnist-conv")
    buffer = io.BytesIO()
    Image.new("L", (28, 28)).save(buffer, "PNG")
    variables = {"SCS_MODEL_REPOSITORY": str(tmp_path), "SCS_DEFAULT_MODEL": "mnist-conv"}
    with serve(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **variables) as url:
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        assert httpx.post(f"{url}/predict", content=buffer.getvalue(), headers=headers).status_code == 200

    (request,) = (span for span in spans if span.parent_span_id.hex() == PARENT)
    assert request.trace_id.hex() == TRACE
    stages = {span.name: span for span in spans if span.parent_span_id == request.span_id}
    assert set(stages) == {"decode", "queue", "inference"}
    for span in stages.values():
        assert request.start_time_unix_nano - 1e6 <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= request.end_time_unix_nano + 1e6
    assert len(spans) == 4, "health is not traced"


def test_without_an_endpoint_nothing_of_the_exporter_is_imported():
    code = "import sys, json, service.app; service.app.create_app(); print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not [name for name in json.loads(done.stdout) if name.startswith(("opentelemetry.sdk", "opentelemetry.exp"))]
