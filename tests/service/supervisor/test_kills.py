"""Several workers serve as one: what is asked of one holds for all, and none suffers where another is killed."""

import http.client
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx2 as httpx
import numpy as np
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs SO_REUSEPORT as Linux has it")

KEY = "a-key-of-many-letters"
HEADERS = {"x-api-key": KEY, "content-type": "image/png"}


@pytest.fixture(scope="module")
def url(serve, repository):
    variables = {"SCS_MODEL_REPOSITORY": str(repository), "SCS_DEFAULT_MODEL": "shapes-scs", "SCS_DEVICE": "cpu"}
    with serve(SCS_WORKERS="2", SCS_API_KEY=KEY, **variables) as url:
        yield url


@pytest.fixture(scope="module")
def picture(encode):
    return encode(np.arange(768, dtype=np.uint8).reshape(16, 16, 3))


def figure(url, name):
    """The sum of a metric's series that match."""
    text = httpx.get(f"{url}/metrics", headers=HEADERS).text
    return sum(float(value) for value in re.findall(rf"^{name} (\S+)$", text, re.MULTILINE))


def pids(url):
    """The processes that have a socket on the port, but for the supervisor, which is the parent of the others."""
    port = int(url.rpartition(":")[2])
    listening = {row[9] for row in tcp_rows() if int(row[1].split(":")[1], 16) == port and row[3] == "0A"}
    holders = {pid for pid in processes() if sockets_of(pid) & listening}
    return [pid for pid in holders if parent(pid) in holders]


def processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def parent(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def tcp_rows():
    with open("/proc/net/tcp") as file:
        return [line.split() for line in file.readlines()[1:]]


def sockets_of(pid):
    """The inodes of the sockets that a process has open."""
    found = set()
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{name}"))
            if match:
                found.add(match[1])
    except OSError:
        pass
    return found


def clients_of(pid):
    """The ports of the clients whose connections a process has accepted."""
    inodes = sockets_of(pid)
    return {int(row[2].split(":")[1], 16) for row in tcp_rows() if row[9] in inodes}


@dataclass
class Client:
    """Asks again and again, over a connection that it makes anew where it was closed."""

    url: str
    picture: bytes
    answers: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lost: list[tuple[int, float]] = field(default_factory=list)  # port of the connection, and when

    def run(self, stop, name):
        connection, port = None, 0
        for number in itertools.count():
            if stop.is_set():
                break
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(self.url.rpartition("/")[2], timeout=60)
                    connection.connect()
                    port = connection.sock.getsockname()[1]
                identity = f"{name}-{number}"
                connection.request("POST", "/predict", self.picture, {**HEADERS, "x-request-id": identity})
                answer = connection.getresponse()
                answer.read()
                self.answers[answer.status] += 1
                if answer.headers["x-request-id"] != identity:
                    self.wrong.append(answer.headers["x-request-id"])
            except (OSError, http.client.HTTPException):
                self.lost.append((port, time.monotonic()))
                connection.close()
                connection = None
        if connection is not None:
            connection.close()


def under_load(url, picture, kills, pause_s):
    """Kill workers under load; give the clients, and for each kill the ports of those whom the dead one served."""
    clients, stop = [Client(url, picture) for _ in range(8)], threading.Event()
    threads = [threading.Thread(target=client.run, args=(stop, n)) for n, client in enumerate(clients)]
    for thread in threads:
        thread.start()
    victims = []
    try:
        for number in range(kills):
            time.sleep(pause_s)
            while len(there := sorted(pids(url))) < 2:  # the one that died before is still being replaced
                time.sleep(0.05)
            pid = there[number % 2]
            os.kill(pid, signal.SIGSTOP)
            victims.append(clients_of(pid))
            os.kill(pid, signal.SIGKILL)
        time.sleep(pause_s)
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    return clients, victims


def check_kills(url, picture, kills, pause_s):
    before = figure(url, r'scs_requests_total{model="shapes-scs",route="/predict",status="200"}')
    clients, victims = under_load(url, picture, kills, pause_s)
    lost = Counter(port for client in clients for port, _ in client.lost)
    served_by_dead = Counter(port for ports in victims for port in ports)  # by two, where a port is used again
    assert lost <= served_by_dead, "a request of another worker failed"
    answered = Counter()
    for client in clients:
        answered += client.answers
        assert client.wrong == []
    assert set(answered) == {200}
    after = figure(url, r'scs_requests_total{model="shapes-scs",route="/predict",status="200"}')
    # What the dead counted is still there. A process may die between an answer's last byte and its count.
    assert answered[200] - kills <= after - before <= answered[200] + len(lost)


def test_a_worker_that_is_killed_takes_nothing_with_it_but_its_own_connections(url, picture):
    check_kills(url, picture, kills=4, pause_s=0.2)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hundred_kills_take_nothing_but_the_connections_of_the_killed(url, picture):
    check_kills(url, picture, kills=200, pause_s=0.1)


def test_a_change_of_the_models_holds_in_every_worker_and_after_a_kill(url):
    def asked(path, times=12):
        """The statuses over connections of their own, which any worker may have accepted."""
        return {httpx.get(f"{url}{path}", headers=HEADERS).status_code for _ in range(times)}

    change = f"{url}/v2/repository/models/shapes-conv"
    assert httpx.post(f"{change}/labels", headers=HEADERS, json={"stable": 1}).json() == {"stable": 1}
    assert asked("/v2/models/shapes-conv/versions/stable/ready") == {200}
    assert httpx.post(f"{change}/labels", headers=HEADERS, json={"stable": 9}).status_code == 404
    os.kill(pids(url)[0], signal.SIGKILL)
    while len(pids(url)) < 2:
        time.sleep(0.05)
    assert asked("/v2/models/shapes-conv/versions/stable/ready") == {200}
    assert httpx.post(f"{change}/unload", headers=HEADERS).status_code == 200
    assert asked("/v2/models/shapes-conv/ready") == {503}
    assert httpx.post(f"{change}/load", headers=HEADERS).status_code == 200
    assert asked("/v2/models/shapes-conv/ready") == {200}


def test_metrics_and_statistics_are_of_all_workers(url, picture):
    counted = 'scs_inference_seconds_count{model="shapes-scs",version="1"}'
    before = figure(url, counted), images(url)
    for _ in range(20):
        assert httpx.post(f"{url}/predict", content=picture, headers=HEADERS).status_code == 200
    assert figure(url, counted) - before[0] == 20
    assert images(url) - before[1] == 20
    assert {figure(url, f'process_open_fds{{worker="{worker}"}}') > 0 for worker in range(2)} == {True}


def images(url):
    (model,) = httpx.get(f"{url}/v2/models/shapes-scs/stats", headers=HEADERS).json()["model_stats"]
    return model["inference_count"]


def test_another_service_may_not_share_the_port(url, repository):
    command = [sys.executable, "-m", "service.cli", "serve", "--workers", "2", "--port", url.rpartition(":")[2]]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "a free port was needed to serve on" in done.stderr


@pytest.mark.slow
def test_workers_are_replaced_one_after_the_other_without_a_lost_request(url, picture):
    before, statuses, stop = set(pids(url)), Counter(), threading.Event()

    def ask():
        while not stop.is_set():  # over a connection of its own each time
            statuses[httpx.post(f"{url}/predict", content=picture, headers=HEADERS).status_code] += 1

    asking = threading.Thread(target=ask)
    asking.start()
    os.kill(parent(min(before)), signal.SIGUSR2)
    while before & set(pids(url)) or len(pids(url)) < 2:
        time.sleep(0.1)
    stop.set()
    asking.join(60)
    assert set(statuses) == {200}
