"""Where the service listens: IPv4, IPv6, both, or a path."""

import http.client
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from scs.errors import ServerError
from service.app import create_app
from service.cli.serve import server_config
from service.http.server.listeners import listeners
from service.settings import Settings

needs_ipv6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")


def listens(address, family=socket.AF_INET):
    with socket.socket(family) as client:
        return client.connect_ex(address) == 0


def started(bound):
    for each in bound:
        each.listen()
    return bound[0].getsockname()[1]


@needs_ipv6
def test_all_of_ipv6_is_all_of_ipv4_as_well():
    with listeners(Settings(host="::", port=0)) as bound:
        port = started(bound)
        assert listens(("127.0.0.1", port)) and listens(("::1", port), socket.AF_INET6)
        with pytest.raises(ServerError, match=f":::{port} is not"), listeners(Settings(host="::", port=port)):
            pass


@needs_ipv6
def test_one_address_of_ipv6_is_that_one_only():
    with listeners(Settings(host="::1", port=0)) as bound:
        port = started(bound)
        assert listens(("::1", port), socket.AF_INET6) and not listens(("127.0.0.1", port))


def test_nothing_can_connect_before_the_server_listens():
    with listeners(Settings(port=0)) as (bound,):
        assert not listens(bound.getsockname())


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
def test_a_host_that_is_not_this_machine_is_one_sentence(host):
    sentence = f"a free port was needed .*; {host}:0 is not: "
    with pytest.raises(ServerError, match=sentence), listeners(Settings(host=host, port=0)):
        pass


def test_a_path_belongs_to_owner_and_group_and_is_removed(tmp_path):
    path = tmp_path / "scs.sock"
    with listeners(Settings(uds=path)):
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert not path.exists()


def test_the_path_of_a_dead_server_is_replaced_and_that_of_a_live_one_is_not(tmp_path):
    settings = Settings(uds=tmp_path / "scs.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(settings.uds))
    with listeners(settings) as bound:
        started(bound)
        with pytest.raises(ServerError, match="SCS_UDS needs .*address already in use"), listeners(settings):
            pass
        assert listens(str(settings.uds), socket.AF_UNIX)


@pytest.mark.parametrize("taken", ["file", "folder"])
def test_a_path_that_is_no_socket_is_left_alone(tmp_path, taken):
    path = tmp_path / taken
    path.write_text("mine") if taken == "file" else path.mkdir()
    with pytest.raises(ServerError, match="SCS_UDS needs a path"), listeners(Settings(uds=path)):
        pass
    assert path.exists()


def test_a_path_that_another_server_has_taken_over_is_not_removed(tmp_path):
    path = tmp_path / "scs.sock"
    with socket.socket(socket.AF_UNIX) as other, listeners(Settings(uds=path)):
        path.unlink()
        (tmp_path / "in between").touch()  # so that the new file is not given the old one's number
        other.bind(str(path))
    assert path.exists()


class OverPath(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("any.example", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


@contextmanager
def serving(path):
    others = {key: value for key, value in os.environ.items() if not key.startswith("SCS_")}
    command = [sys.executable, "-m", "service.cli", "serve"]
    process = subprocess.Popen(command, env={**others, "SCS_UDS": str(path)}, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            assert process.poll() is None, "the server stopped by itself"
            if path.exists() and listens(str(path), socket.AF_UNIX):
                break
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_behind_a_path_answers_and_stops(tmp_path, number):
    path = tmp_path / "scs.sock"
    with serving(path) as process:
        connection = OverPath(path)
        connection.request("GET", "/models")
        assert connection.getresponse().status == 200
        process.send_signal(number)
        assert process.wait(30) == 0
        connection.close()
    assert not path.exists()


def test_a_connection_may_rest_for_longer_than_usual_proxies_keep_it(settings):
    assert server_config(create_app(settings), settings).timeout_keep_alive == settings.keep_alive_s > 60
