"""Whatever address a request names, nothing is fetched from there."""

import contextlib
import itertools
import json
import socket
import sys
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from service.app import create_app

KEY = "correct-horse-battery"
SECRET = "what no answer may hold"
KINDS = ("image/png", "image/svg+xml", "text/uri-list", "application/x-npy", "application/json", "")
WATCHED = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request", "subprocess.Popen", "open"}

_watching: list[list[tuple[str, str]]] = []


def _note(event, arguments):
    if _watching and event in WATCHED:
        _watching[0].append((event, repr(arguments)))


@pytest.fixture(scope="module")
def watching():
    """What Python was told to connect to, look up, start or open, while the context lasts."""
    sys.addaudithook(_note)  # stays as long as the process does, and does nothing when it is not asked

    @contextlib.contextmanager
    def events():
        _watching.append([])
        try:
            yield _watching[0]
        finally:
            _watching.clear()

    return events


@pytest.fixture(scope="module")
def listener():
    """A port that somebody might connect to, also from below Python."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    path = tmp_path_factory.mktemp("elsewhere") / "secret.png"
    path.write_text(SECRET)
    return path


@pytest.fixture(scope="module")
def addresses(listener, secret):
    port = listener.getsockname()[1]
    return [
        f"http://127.0.0.1:{port}/cat.png",
        f"https://localhost:{port}/cat.png",
        f"//127.0.0.1:{port}/cat.png",
        f"ftp://127.0.0.1:{port}/cat.png",
        "http://pictures.invalid/cat.png",
        secret.as_uri(),
        str(secret),
        f"data:image/svg+xml,<svg><image href='http://127.0.0.1:{port}/cat.png'/></svg>",
    ]


@pytest.fixture(scope="module")
def keyed(settings):
    """The service with everything switched on."""
    with TestClient(
        create_app(settings.model_copy(update={"api_key": SecretStr(KEY)})),
        raise_server_exceptions=False,
        headers={"X-API-Key": KEY},
        follow_redirects=False,
    ) as client:
        yield client


def tensor(data, **parameters):
    return {
        "name": "image",
        "datatype": "BYTES",
        "shape": [len(data)],
        "data": data,
        "parameters": {"content_type": "url"} | parameters,
    }


def bodies(address):
    """An address in every place of a body where somebody might look for one."""
    for kind in KINDS:
        yield {"content": address.encode(), "headers": {"content-type": kind}}
    drawing = f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{address}"/></svg>'
    yield {"content": drawing.encode(), "headers": {"content-type": "image/svg+xml"}}
    entity = f'<!DOCTYPE svg [<!ENTITY x SYSTEM "{address}">]><svg xmlns="http://www.w3.org/2000/svg">&x;</svg>'
    yield {"content": entity.encode(), "headers": {"content-type": "image/svg+xml"}}
    names = ("file", "image", "images", "url", "template", "templates", "scene", "mask")
    for name in names:
        yield {"files": {name: (address, address.encode(), "image/png")}}
        yield {"data": {name: address}}
    for value in (address, [address], {"url": address}, [{"image_url": {"url": address}}]):
        yield {"json": dict.fromkeys(names, value)}
    yield {"json": {"inputs": [tensor([address])], "parameters": {"url": address}}}
    yield {"json": {"inputs": [tensor([address], shared_memory_region=address, shared_memory_byte_size=9)]}}
    parameters = {"config": json.dumps({"model": address}), "file:1/model.onnx": address, "url": address}
    yield {"json": {"parameters": parameters}}
    yield {"json": {"stable": address, "repository_name": address}}


def requests(description, addresses):
    """Every route with every address, in its path, its options, its headers and its body; unloading comes last."""
    for path, operations in sorted(description["paths"].items(), key=lambda item: "unload" in item[0]):
        for (method, operation), address in itertools.product(operations.items(), addresses):
            options = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
            real = path.replace("{name}", "shapes-scs").replace("{version}", "1")
            named = path.replace("{name}", quote(address, "")).replace("{version}", quote(address, ""))
            headers = {"Referer": address, "Origin": address, "Forwarded": f"host={address}", "X-Callback": address}
            yield method, named, {"headers": headers}
            for option in (*options, "url"):
                yield method, real, {"params": {option: address}, "content": b"x" if method == "post" else None}
            if method == "post":
                yield from ((method, real, body) for body in bodies(address))


def test_no_address_in_a_request_is_fetched(keyed, listener, secret, addresses, watching):
    description = keyed.get("/openapi.json").json()
    asked = set()
    with watching() as events:
        for method, path, request in requests(description, addresses):
            request = {name: value for name, value in request.items() if value is not None}
            answer = keyed.request(method, path, **request)
            asked.add((method, answer.status_code))
            assert answer.status_code not in (301, 302, 303, 307, 308, 500), (path, request)
            assert SECRET not in answer.text
    assert {("get", 200), ("post", 400), ("post", 404)} <= asked
    reached = [each for each in events if each[0] != "open" or secret.name in each[1]]
    assert not reached
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_what_is_watched_for_would_be_seen(listener, secret, watching):
    port = listener.getsockname()[1]
    with watching() as events:
        secret.read_text()
        with socket.create_connection(("127.0.0.1", port)):
            listener.accept()[0].close()
    assert {event for event, _ in events} >= {"open", "socket.connect", "socket.getaddrinfo"}
    assert any(secret.name in what for event, what in events if event == "open")
