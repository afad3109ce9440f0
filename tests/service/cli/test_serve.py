import os
import socket
import subprocess
import sys
import threading
import time

import httpx2 as httpx
import pytest

from scs.errors import OptionError
from service.cli.serve import _await_folder, page_address


def test_a_folder_of_models_that_appears_late_as_a_link_is_waited_for(tmp_path):
    link = tmp_path / "models"
    os.symlink(tmp_path / "not there", link)
    later = threading.Timer(0.3, lambda: (tmp_path / "not there").mkdir())
    later.start()
    _await_folder(link, 60)
    assert link.is_dir()
    later.join()


def test_a_folder_of_models_that_does_not_appear_is_an_error(tmp_path):
    for seconds in (0, 0.3):
        with pytest.raises(OptionError, match="SCS_MODEL_REPOSITORY needs to be a folder of models; '.*none' is none"):
            _await_folder(tmp_path / "none", seconds)


def test_the_service_starts_beside_a_service_of_kubernetes_of_its_name(serve, repository):
    variables = {"SCS_MODEL_REPOSITORY": str(repository), "SCS_DEFAULT_MODEL": "shapes-scs", "SCS_API_KEY": ""}
    with serve(
        SCS_PORT="tcp://10.0.0.1:8000", SCS_GRPC_PORT="tcp://10.0.0.1:8001", SCS_DEVICE="cpu", **variables
    ) as url:
        assert httpx.get(f"{url}/v2/health/ready").json() == {"ready": True}


def test_the_start_says_which_variable_it_ignores(tmp_path):
    variables = {"SCS_PORT": "tcp://10.0.0.1:8000", "SCS_MODEL_REPOSITORY": str(tmp_path / "none")}
    command = [sys.executable, "-m", "service.cli", "serve", "--port", "0"]
    done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True)
    assert "SCS_PORT is ignored: it has the address of a Service" in done.stderr
    assert done.returncode == 2 and "needs to be a folder of models" in done.stderr


@pytest.mark.parametrize(
    ("host", "family", "shown"),
    [
        ("127.0.0.1", socket.AF_INET, "127.0.0.1"),
        ("0.0.0.0", socket.AF_INET, "127.0.0.1"),
        ("::", socket.AF_INET6, "[::1]"),
    ],
)
def test_the_page_is_opened_where_a_browser_on_this_machine_reaches_it(host, family, shown):
    with socket.socket(family) as listening:
        listening.bind((host, 0))
        assert page_address([listening]) == f"http://{shown}:{listening.getsockname()[1]}/"


def test_no_page_is_opened_of_a_service_on_a_unix_socket(tmp_path):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "scs.sock"))
        with pytest.raises(OptionError, match="--open needs a port"):
            page_address([listening])


def test_serving_with_open_asks_for_a_browser(tmp_path):
    seen = tmp_path / "seen"
    (tmp_path / "browser").write_text(f'#!/bin/sh\necho "$1" > {seen}\n')
    (tmp_path / "browser").chmod(0o755)
    variables = {"BROWSER": str(tmp_path / "browser"), "SCS_MODEL_REPOSITORY": str(tmp_path)}
    command = [sys.executable, "-m", "service.cli", "serve", "--port", "0", "--open"]
    process = subprocess.Popen(command, env={**os.environ, **variables}, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            if seen.exists() and seen.read_text():
                break
            time.sleep(0.1)
        assert seen.read_text().startswith("http://127.0.0.1:")
    finally:
        process.terminate()
        process.wait()
