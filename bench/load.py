"""Load tests of a server: as much as it takes, from wrk (closed loop), and more, from bench/flood.py (open loop)."""

import base64
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

SCRIPT = Path(__file__).parent / "load.lua"
FLOOD = Path(__file__).parent / "flood.py"
CONNECTIONS = 2500  # of an overload: more than may wait by default, so that there are idle ones for what is due
KNOWN = "200", "429", "503"


class LoadError(Exception):
    """Answers that are not what was to be measured."""


def wrk(port, call, connections, seconds, refusals=False):
    """Requests a second over connections that each wait for their answer.

    Returns:
        ``rate`` of answers with 200, ``p50_ms``, ``p99_ms``, and ``client_cores``, the share of a core that wrk used.

    Raises:
        LoadError: answers did not come, or were refusals where those are not expected.
    """
    before = _children()
    with _wrk(port, call, connections, seconds) as process:
        output, _ = process.communicate()
    found = json.loads(output.splitlines()[-1])
    if found["broken"] or (found["refused"] and not refusals):
        raise LoadError(f"{call.path}: {found['refused']} answers were not 200, {found['broken']} did not come")
    found["rate"] = (found["requests"] - found["refused"]) / found["seconds"]
    found["client_cores"] = (_children() - before) / found["seconds"]
    return found


@contextmanager
def in_background(port, call, connections, seconds):
    """Keep a server busy so long with so many connections, none if there are to be none.

    Raises:
        LoadError: an answer was not 200.
    """
    if not connections:
        yield
        return
    with _wrk(port, call, connections, seconds) as process:
        yield
        output, _ = process.communicate()
    found = json.loads(output.splitlines()[-1])
    if found["refused"]:
        raise LoadError(f"{call.path}: {found['refused']} of {found['requests']} answers were not 200")


@contextmanager
def _wrk(port, call, connections, seconds):
    with tempfile.NamedTemporaryFile() as body:
        body.write(call.body)
        body.flush()
        sent = [body.name, call.content_type, *(word for header in call.headers.items() for word in header)]
        url = f"http://127.0.0.1:{port}{call.path}"
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
        command += ["-s", SCRIPT, url, "--", *sent]
        with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True) as process:
            yield process


def overload(port, call, rate, seconds):
    """So many requests a second, whatever becomes of them.

    Returns:
        ``offered``, ``good`` and ``refused`` a second; milliseconds from when each was due; statuses of the rest.

    Raises:
        LoadError: the client broke.
    """
    job = {"port": port, "path": call.path, "connections": CONNECTIONS, "rate": rate, "seconds": seconds}
    job["headers"] = {"Content-Type": call.content_type, **call.headers}
    job["body"] = base64.b64encode(call.body).decode()
    before = _children()
    done = subprocess.run([sys.executable, FLOOD], input=json.dumps(job), capture_output=True, text=True)
    if done.returncode:
        raise LoadError(done.stderr.strip().splitlines()[-1])
    found = json.loads(done.stdout)
    answered = found.pop("answered")
    refused = answered.get("503") or answered.get("429")
    nothing = {"rate": 0.0, "ms": None}
    for name, each in (("good", answered.get("200") or nothing), ("refused", refused or nothing)):
        found[name], found[f"{name}_ms"] = each["rate"], each["ms"]
    found["other_statuses"] = {status: each["rate"] for status, each in answered.items() if status not in KNOWN}
    return {**found, "client_cores": (_children() - before) / seconds}


def percentiles(times):
    if len(times) < 2:
        return None
    cuts = statistics.quantiles(times, n=100)
    return {"p50": round(cuts[49], 3), "p99": round(cuts[98], 3), "max": round(max(times), 3)}


def probe(port, path, rate, seconds):
    """Milliseconds of GETs that are due at a steady rate, counted from when each was due: waiting in line counts."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    times = []
    start = time.perf_counter()
    for number in range(int(rate * seconds)):
        due = start + number / rate
        time.sleep(max(0, due - time.perf_counter()))
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise LoadError(f"{path} answered {answer.status}")
        times.append(1000 * (time.perf_counter() - due))
    connection.close()
    return times


def _children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
