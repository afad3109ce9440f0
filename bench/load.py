"""Load from compiled clients: wrk for as much as a server takes, h2load for more than that."""

import json
import resource
import statistics
import subprocess
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path

SCRIPT = Path(__file__).parent / "load.lua"
CONNECTIONS = 2000  # of an overload: refusals come at once, so these suffice for a rate that does not wait for answers


class LoadError(Exception):
    """Answers that are not what was to be measured."""


def wrk(port, call, connections, seconds, method="POST"):
    """Requests a second over connections that each wait for their answer.

    Returns:
        ``rate``, ``p50_ms``, ``p99_ms``, and ``client_cores``, the share of a core that wrk itself used.
    """
    with tempfile.NamedTemporaryFile() as body:
        body.write(call.body)
        body.flush()
        sent = [method, body.name if call.body else "-", call.content_type]
        sent += [word for header in call.headers.items() for word in header]
        url = f"http://127.0.0.1:{port}{call.path}"
        command = [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "--timeout",
            "30s",
            "-s",
            SCRIPT,
            url,
            "--",
            *sent,
        ]
        before = _children()
        output = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout
    found = json.loads(output.splitlines()[-1])
    if found["refused"] or found["broken"]:
        raise LoadError(f"{call.path}: {found['refused']} answers were not 200, {found['broken']} did not come")
    found["rate"] = found["requests"] / found["seconds"]
    found["client_cores"] = (_children() - before) / found["seconds"]
    return found


def overload(port, call, rate, seconds):
    """So many requests a second, whatever becomes of them.

    Returns:
        ``offered`` and ``good`` a second; the latencies of what was answered with 200, and of refusals.
    """
    with tempfile.TemporaryDirectory() as folder:
        body, log = Path(folder) / "body", Path(folder) / "log"
        body.write_bytes(call.body)
        headers = {"Content-Type": call.content_type, **call.headers}
        lines = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
        each = max(1, round(rate / CONNECTIONS))
        connections = max(1, round(rate / each))
        command = ["h2load", "--h1", "-t1", "-m1", f"-c{connections}", f"--rps={each}", f"-D{seconds}"]
        command += ["-d", body, f"--log-file={log}", *lines, f"http://127.0.0.1:{port}{call.path}"]
        before = _children()
        subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
        used = (_children() - before) / seconds
        answers = [tuple(map(int, line.split())) for line in log.read_text().splitlines()]
    good = [took / 1000 for _, status, took in answers if status == 200]
    refused = [took / 1000 for _, status, took in answers if status in (429, 503)]
    other = sorted({status for _, status, _ in answers} - {200, 429, 503})
    return {
        "asked": each * connections,
        "offered": len(answers) / seconds,
        "good": len(good) / seconds,
        "refused": len(refused) / seconds,
        "other_statuses": other,
        "good_ms": percentiles(good),
        "refused_ms": percentiles(refused),
        "client_cores": used,
    }


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
