"""Names of files, labels, layers and a server's answers are shown as text, whatever is in them, and never obeyed."""

import http.server
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from tests.service import hostile_models
from tests.service.hostile_models import put

LABELS = {
    "closing": ("[/x]", "[/x]"),
    "style": ("[bold red]cat[/] :smile:", "[bold red]cat[/] :smile:"),
    "escape": ("\x1b]0;pwned\x07\x1b[31mred", r"\x1b]0;pwned\x07\x1b[31mred"),
    "newline": ("a\nscs: all is well", r"a\nscs: all is well"),
    "direction": ("\u202egnp.exe\x9b2J", r"\u202egnp.exe\x9b2J"),
}
FILES = {
    b"[x] :smile:.png": "[x] :smile:.png",
    b"[bold]a[link=http:evil]b.png": "[bold]a[link=http:evil]b.png",
    b"\x1b]0;pwned\x07red.png": r"\x1b]0;pwned\x07red.png",
    b"two\nlines.png": r"two\nlines.png",
    b"bad\xff.png": r"bad\xff.png",
}


def slow(name):
    """A case for whoever has the time: each starts the command line several times."""
    return pytest.param(name, marks=pytest.mark.slow)


def scs(*arguments, **variables):
    command = [sys.executable, "-m", "service.cli", *arguments]
    environment = {**os.environ, "COLUMNS": "200", "PYTHONUTF8": "1", **variables}
    done = subprocess.run(command, capture_output=True, env=environment, timeout=120)
    out, error = done.stdout.decode(), done.stderr.decode()
    for obeyed in "\x1b\x07\u202e\x9b":
        assert obeyed not in out + error
    assert "Traceback" not in error
    return done.returncode, out, error


@pytest.fixture(scope="module")
def folder(tmp_path_factory, request):
    folder = tmp_path_factory.mktemp("foreign")
    layer = {"name": "a", "tensor": "q", "channels": 1, "receptive_field": {"size": 1, "stride": 1, "offset": 0}}
    body = "q = Transpose <perm = [0, 3, 1, 2]> (f) " + hostile_models.PLAIN
    for name, (label, _) in LABELS.items():
        layers = [layer | {"signed": True, "labels": [label]}]
        put(folder, name, body, labels=[label, "other"], description=label, layers=layers)
    return folder


@pytest.fixture
def picture(tmp_path, encode, photograph):
    path = tmp_path / "cat.png"
    path.write_bytes(encode(photograph[:40, :40]))
    return path


@pytest.mark.parametrize("name", ["escape", *(slow(name) for name in LABELS if name != "escape")])
def test_labels_and_descriptions_are_shown(folder, picture, name, tmp_path):
    given = ("--model", name, "--repository", str(folder))
    shown = LABELS[name][1]
    status, out, _ = scs("predict", str(picture), *given)
    assert status == 0 and f" {shown} " in out
    status, out, _ = scs("activations", str(picture), *given, "--out", str(tmp_path / "sheet.png"))
    assert status == 0 and f"{name} 1: {shown}, " in out.replace("other", shown)
    status, out, _ = scs("models", "show", name, "--repository", str(folder))
    assert status == 0 and f"{name} 1: {shown}\n" in out
    status, out, _ = scs("predict", str(picture), *given, "--json")
    assert LABELS[name][0] in [each["label"] for each in json.loads(out)["predictions"][0]["classes"]]


@pytest.mark.parametrize("name", [b"bad\xff.png", *(slow(name) for name in FILES if name != b"bad\xff.png")])
def test_names_of_files_are_shown(picture, name):
    path = os.path.join(os.fsencode(picture.parent), name)
    os.link(picture, path)
    given = os.fsdecode(path)
    for command, model in ((("predict", given), ("--model", "mnist-scs")), (("match", str(picture), given), ())):
        status, out, _ = scs(*command, *model)
        assert status == 0 and f" {FILES[name]} " in out
    status, out, _ = scs("predict", given, "--model", "mnist-scs", "--json")
    assert json.loads(out)["predictions"][0]["name"] == os.fsdecode(name).replace("\udcff", "\\xff")
    os.unlink(path)
    status, _, error = scs("predict", given)
    assert (status, error) == (1, f"scs: {FILES[name]}: No such file or directory\n")


def test_what_the_encoding_of_the_output_lacks_is_written_out(picture):
    renamed = picture.rename(picture.with_name("猫.png"))
    status, out, _ = scs("predict", str(renamed), "--model", "mnist-scs", PYTHONIOENCODING="ascii")
    assert status == 0 and r"\u732b.png" in out


def test_names_that_are_not_unicode_are_refused_in_a_line(picture):
    for option in ("--model", "--version", "--resize", "--url"):
        status, _, error = scs("predict", str(picture), option, os.fsdecode(b"\xff\x1b[2J"))
        assert status in (1, 2) and error.startswith("scs: ") and error.count("\n") == 1


@contextmanager
def answering(status, body):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


SERVED = {"name": "\x1b]0;pwned\x07", "version": 1, "state": "LOADING", "available": False, "reason": "[/x] \x1b[2J"}


@pytest.mark.parametrize(
    ("status", "body", "code", "said"),
    [
        (200, {"models": [SERVED | {"default_version": True, "labels": []}]}, 0, r"\x1b]0;pwned\x07"),
        (200, {"models": [SERVED | {"default_version": True, "labels": []}]}, 0, r"[/x] \x1b[2J"),
        (500, {"detail": "\x1b]0;pwned\x07\x1b[2J"}, 1, r"answered 500: \x1b]0;pwned\x07\x1b[2J"),
        (500, {"detail": "x" * 100_000}, 1, "answered 500: xxx"),
        (200, {"models": [{"name": "\x1b[2J"}]}, 1, "gave another answer than this client knows: models.0.version"),
        (200, {"\x1b[2J": 1}, 1, "gave another answer than this client knows: models"),
        (200, "no", 1, "gave another answer than this client knows"),
    ],
)
def test_the_answers_of_a_server_are_shown(status, body, code, said):
    with answering(status, json.dumps(body).encode()) as url:
        came, out, error = scs("models", "--url", url)
    assert came == code and said in out + error
    assert len(out + error) < 10_000


@pytest.mark.parametrize("body", [b"\xff\x1b[2J", b"[" * 100_000, b""])
@pytest.mark.parametrize("status", [200, 500])
def test_answers_that_are_not_json_are_a_failure_in_a_line(status, body):
    with answering(status, body) as url:
        came, _, error = scs("models", "--url", url)
    assert came == 1 and error.startswith(f"scs: {url} ") and error.count("\n") == 1
