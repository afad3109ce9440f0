"""Servers as processes: started, checked, suspended while another is measured, and their use of CPU and memory."""

import base64
import http.client
import json
import os
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
STARTING_S = 120
PATIENCE_S = 10


class StartError(Exception):
    """A server that did not come up, with the last lines that it wrote."""


@dataclass(frozen=True)
class Call:
    """One request: where it goes, what is in it, and how its answer says the classes."""

    path: str
    body: bytes
    content_type: str
    headers: dict[str, str] = field(default_factory=dict)
    shares: object = None  # from the answer's body and headers to {class: probability}

    def send(self, port):
        """Status, headers and body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("POST", self.path, self.body, {"Content-Type": self.content_type, **self.headers})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()


@dataclass
class Server:
    """A server in a group of processes of its own."""

    name: str
    command: list
    port: int
    environment: dict = field(default_factory=dict)
    folder: Path | None = None
    process: subprocess.Popen | None = None
    log: Path | None = None

    def start(self, log):
        self.log = log
        with log.open("wb") as written:
            self.process = subprocess.Popen(
                list(map(str, self.command)),
                env={**os.environ, **{name: str(value) for name, value in self.environment.items()}},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for(self, call):
        """Until a call is answered with 200."""
        end = time.monotonic() + STARTING_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if call.send(self.port)[0] == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.1)
        raise StartError(f"{self.name} did not answer {call.path}: {self.last_words()}")

    def wait_until_ready(self):
        """Until the inference protocol's check says that all models are loaded, in all workers."""
        while self.process.poll() is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("GET", "/v2/health/ready")
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            finally:
                connection.close()
            time.sleep(0.005)
        raise StartError(self.last_words())

    def last_words(self):
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return " / ".join(lines[-3:])[-400:] or "it wrote nothing"

    def pause(self):
        self._signal(signal.SIGSTOP)

    def resume(self):
        self._signal(signal.SIGCONT)

    def stop(self):
        if self.process is None:
            return
        members = family(self.process.pid)
        self._signal(signal.SIGCONT)
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE_S)
        for member in members:  # some leave their workers behind
            _kill(member, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def cpu_seconds(self):
        """Seconds of processor that it has used so far, all of its processes together."""
        return sum(sum(map(int, _stat(member)[11:13])) for member in family(self.process.pid)) / TICKS

    def held_mib(self):
        """Proportional set size of all its processes together: pages that they share count once."""
        total = 0
        for member in family(self.process.pid):
            try:
                rollup = Path(f"/proc/{member}/smaps_rollup").read_text()
            except OSError:
                continue
            total += next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)
        return total / 1024

    def _signal(self, number):
        for member in family(self.process.pid):
            _kill(member, number)


def family(parent):
    """A process and all that descend from it."""
    children = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (stat := _stat(folder.name)):
            children.setdefault(int(stat[1]), []).append(int(folder.name))
    found, unseen = [], [parent]
    while unseen:
        found.append(unseen.pop())
        unseen += children.get(found[-1], [])
    return [member for member in found if _stat(member)]


def _stat(process):
    """Fields of /proc/PID/stat after the name; nothing where the process has gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _kill(process, number):
    with suppress(ProcessLookupError):
        os.kill(process, number)


@contextmanager
def alone(server, others):
    """Stop all others in mid-breath, as if they were not there."""
    for other in others:
        if other is not server:
            other.pause()
    server.resume()
    try:
        yield server
    finally:
        for other in others:
            other.resume()


def form(picture):
    """A picture as ``file`` in a form: body and content type."""
    border = "a-line-that-is-in-no-picture"
    about = 'Content-Disposition: form-data; name="{}"; filename="a.png"'
    head = f"--{border}\r\n{about}\r\nContent-Type: image/png\r\n\r\n"

    def made(name):
        return head.format(name).encode() + picture + f"\r\n--{border}--\r\n".encode()

    return made, f"multipart/form-data; boundary={border}"


def base64_tensor(picture):
    """A picture as MLServer takes it: base64 in a BYTES tensor."""
    data = [base64.b64encode(picture).decode()]
    tensor = {"name": "image", "shape": [1, 1], "datatype": "BYTES", "parameters": {"content_type": "base64"}}
    return json.dumps({"inputs": [{**tensor, "data": data}]}).encode()
