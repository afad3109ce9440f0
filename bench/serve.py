"""Throughput and latency of the service beside its alternatives, in one run.

    python bench/serve.py [--quick] [--peers FOLDER] [--only SECTION ...] [--rounds 4] [--seconds 2]

The same ONNX files, the same PNG, the same machine; load from wrk (Debian's package), on
one thread. Servers are asked in turns, A B C A B C; those that are not asked are stopped in
mid-breath. Every answer is checked against ONNX Runtime before it is timed. Where a contender has several ways of being
set up, each is tried before, and the best at that number of connections counts. Ours runs as ``scs serve`` does, with a
key. Peers are installed by pip into venvs below --peers, by default ~/.cache/scs-bench. Prints tables and writes
bench/results/serve.json, the sections of --only alone where that is given; --quick writes nothing. Needs scikit-image.
"""

import argparse
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

import contenders
import load
import numpy as np
import onnxruntime as ort
import wide
from contenders import Contender, Ports, Way, check, guarded, our_calls, ours
from load import LoadError
from PIL import Image
from servers import Call, Server, StartError, alone
from skimage import data
from venvs import versions

from models.cards.catalogue import bundled_repository, find

RESULTS = Path(__file__).parent / "results" / "serve.json"
MODELS = "cifar10-scs", "cifar10-conv"
CONNECTIONS = 1, 16, 64
TRIED_S = 1  # for each way of a contender, before it is compared
RAW_S = 2.0
SETTLING_S = 5
MEDIUM, LARGE = 256, 2048  # pixels on a side
PROBES = 100  # a second


class Bench:
    """What the sections share: pictures, ports, how long things take, and who is there."""

    def __init__(self, arguments, folder):
        self.quick, self.folder, self.peers = arguments.quick, folder, arguments.peers
        self.rounds, self.seconds = arguments.rounds, arguments.seconds
        self.ports = Ports(arguments.port)
        photograph = Image.fromarray(data.astronaut())
        self.picture = encoded(photograph.resize((32, 32)), "PNG")
        self.pixels = np.asarray(photograph.resize((32, 32)))
        mosaic = Image.fromarray(np.tile(data.astronaut(), (LARGE // 512, LARGE // 512, 1)))
        self.large = encoded(mosaic, "JPEG", quality=90)
        self._wide = None

    @property
    def wide_model(self):
        if self._wide is None:
            self._wide = wide.write(self.folder / "wide")
        return self._wide

    def model(self, name):
        return self.wide_model if name == wide.NAME else find(bundled_repository(), name).folder / "model.onnx"

    def expected(self, name):
        """Shares of the classes as ONNX Runtime has them."""
        (logits,) = ort.InferenceSession(self.model(name)).run(["logits"], {"image": self.pixels[None]})
        powers = np.exp(logits[0].astype(float) - logits[0].max())
        return powers / powers.sum()

    def our_settings(self, name):
        if name != wide.NAME:
            return {}
        return {"SCS_MODEL_REPOSITORY": self.wide_model.parents[2], "SCS_DEFAULT_MODEL": name}

    def us(self, name, upload="png", **settings):
        port = self.ports.take()
        call = our_calls(name, self.picture, self.pixels)[upload]
        return Contender("ours", [Way("", ours(port, {**self.our_settings(name), **settings}), call)])

    @contextmanager
    def running(self, name, *those):
        """Contenders with their servers up and their answers checked; those that fail are there as missing."""
        expected = self.expected(name)
        started = {way.server.port: way.server for contender in those for way in contender.ways}
        try:
            for server in started.values():
                server.start(self.folder / f"{server.port}.log")
            for contender in those:
                for way in list(contender.ways):
                    try:
                        way.server.wait_for(way.call)
                        check(way.call, way.server.port, expected)
                    except (StartError, AssertionError, OSError, ValueError, KeyError) as error:
                        contender.ways.remove(way)
                        contender.missing = str(error) or type(error).__name__
                        print(f"{contender.name} left out: {contender.missing}", file=sys.stderr, flush=True)
            servers = [server for server in started.values() if server.process.poll() is None]
            for contender in those:
                if len(contender.ways) > 1:  # or else its first turn warms it up
                    for way in contender.ways:
                        with suppress(LoadError):
                            asked(way, 16, TRIED_S, servers)
            yield servers
        finally:
            for server in started.values():
                server.stop()


def encoded(picture, image_format, **options):
    stream = io.BytesIO()
    picture.save(stream, image_format, **options)
    return stream.getvalue()


def asked(way, connections, seconds, servers):
    """One turn of one way; beside what wrk says, the microseconds of processor that a request took."""
    with alone(way.server, servers):
        before = way.server.cpu_seconds()
        found = load.wrk(way.server.port, way.call, connections, seconds)
        if not found["requests"]:
            raise LoadError(f"{way.call.path}: nothing was answered in {seconds} s")
        found["cpu_us"] = 1e6 * (way.server.cpu_seconds() - before) / found["requests"]
    return found


def best_way(contender, connections, servers):
    """The fastest way, and the rate of each that was tried; ways that break under load are left out.

    Raises:
        LoadError: all of them break.
    """
    if len(contender.ways) == 1:
        return contender.ways[0], {}
    rates, broken = {}, []
    for way in contender.ways:
        try:
            rates[way.label] = round(asked(way, connections, TRIED_S, servers)["rate"])
        except LoadError as error:
            broken.append(str(error))
    if not rates:
        raise LoadError("; ".join(broken))
    return max((way for way in contender.ways if way.label in rates), key=lambda way: rates[way.label]), rates


def compare(bench, those, connections, servers, case):
    """Every contender in turns; the first turn warms up. Who breaks under the load is left out, and that is said."""
    chosen, turns, left_out = {}, {}, {}
    for each in those:
        with noting(left_out, each.name):
            if each.ways:
                chosen[each.name] = best_way(each, connections, servers)
                turns[each.name] = []
    for turn in range(bench.rounds + 1):
        for name in list(turns):
            with noting(left_out, name):
                found = asked(chosen[name][0], connections, bench.seconds, servers)
                if turn:
                    turns[name].append(found)
            if name in left_out:
                del turns[name]
    sides = {}
    for name, kept in turns.items():
        way, tried = chosen[name]
        sides[name] = {"way": way.label, **figures(kept), **({"tried": tried} if tried else {})}
    mine = [each["rate"] for each in turns["ours"]]
    ratios = {
        name: spread([us / them["rate"] for us, them in zip(mine, theirs, strict=True)], 2)
        for name, theirs in turns.items()
        if name != "ours"
    }
    result = {**case, "connections": connections, "sides": sides, "ours_over": ratios, "left_out": left_out}
    show_case(result)
    return result


@contextmanager
def noting(left_out, name):
    """Write down why a contender failed, unless it is ours."""
    try:
        yield
    except LoadError as error:
        if name == "ours":
            raise
        left_out[name] = str(error)


def figures(turns):
    return {
        "rate": spread([each["rate"] for each in turns]),
        "p50_ms": spread([each["p50_ms"] for each in turns], 3),
        "p99_ms": spread([each["p99_ms"] for each in turns], 3),
        "cpu_us": round(statistics.median(each["cpu_us"] for each in turns)),
        "client_cores": round(statistics.median(each["client_cores"] for each in turns), 2),
    }


def spread(values, digits=0):
    """Median, lowest and highest of the turns."""
    return {
        "median": round(statistics.median(values), digits),
        "low": round(min(values), digits),
        "high": round(max(values), digits),
    }


def show_case(result):
    print(f"\n{result['model']}, {result['upload']}, {result['connections']} connections")
    for name, side in result["sides"].items():
        rate, ratio = side["rate"], result["ours_over"].get(name)
        beside = f"ours {ratio['median']:.2f}x ({ratio['low']:.2f}-{ratio['high']:.2f})" if ratio else ""
        print(
            f"  {name:<24}{rate['median']:>8,.0f}/s ({rate['low']:,.0f}-{rate['high']:,.0f})"
            f"{side['p50_ms']['median']:>9.2f} ms{side['p99_ms']['median']:>9.2f} ms p99"
            f"{side['cpu_us']:>7} us  {beside:<24}{side['way']}",
            flush=True,
        )
    for name, reason in result["left_out"].items():
        print(f"  {name:<24}left out: {reason}", flush=True)


# The sections, each giving what it adds to the results.


def limits(bench):
    """What nothing can exceed: uvicorn without an application, FastAPI without work, ONNX Runtime without HTTP."""
    environment = {"MODEL": bench.model(MODELS[0]), "INTRA": 1}
    found = {"asgi": {}, "fastapi": {}, "onnxruntime": {}}
    for name, application in (("asgi", "hand:plain"), ("fastapi", "hand:app")):
        port = bench.ports.take()
        uvicorn = [sys.executable, "-m", "uvicorn", "--app-dir", contenders.PEERS, application, *contenders.UVICORN]
        server = Server(name, [*uvicorn, "--port", port], port, environment)
        call = Call("/noop", bench.picture, "image/png")
        try:
            server.start(bench.folder / f"{port}.log")
            server.wait_for(call)
            for connections in CONNECTIONS[1:2] if bench.quick else CONNECTIONS:
                load.wrk(port, call, connections, 1)
                each = load.wrk(port, call, connections, bench.seconds)
                found[name][connections] = {
                    "rate": round(each["rate"]),
                    "client_cores": round(each["client_cores"], 2),
                }
        finally:
            server.stop()
    for name in (*MODELS, wide.NAME):
        found["onnxruntime"][name] = raw(bench.model(name), bench.pixels, bench.quick)
    for kind, rates in found.items():
        print(kind, json.dumps(rates), flush=True)
    return {"limits": found}


def raw(model, pixels, quick):
    """Images a second of ONNX Runtime called in a loop, by threads of a run and images of a batch."""
    rates = {}
    for threads in (1, 0):
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        session = ort.InferenceSession(model, options)
        for batch in (1, 16):
            images = np.repeat(pixels[None], batch, 0)
            session.run(["logits"], {"image": images})  # warms up
            runs, start = 0, time.perf_counter()
            while time.perf_counter() < start + (0.3 if quick else RAW_S):
                session.run(["logits"], {"image": images})
                runs += 1
            rates[f"{threads or 'all'} threads, batch {batch}"] = round(batch * runs / (time.perf_counter() - start))
    return rates


def comparison(bench):
    """The product's models, as a raw body and as a form."""
    cases, about = [], {}
    grid = contenders.LITSERVE_QUICK if bench.quick else contenders.LITSERVE
    for name in MODELS[:1] if bench.quick else MODELS:
        model = bench.model(name)
        those = [
            bench.us(name),
            contenders.by_hand(model, bench.ports, bench.picture),
            contenders.by_two_hands(model, bench.ports, bench.picture),
            contenders.litserve(bench.peers, model, bench.ports, bench.picture, grid),
            contenders.mlserver(bench.peers, model, bench.ports, bench.picture, bench.folder / f"mlserver-{name}"),
            contenders.bentoml(bench.peers, model, bench.ports, bench.picture),
        ]
        with bench.running(name, *those) as servers:
            if not bench.quick:
                settle(those[3], servers)
            for connections in CONNECTIONS[1:2] if bench.quick else CONNECTIONS:
                cases.append(compare(bench, those, connections, servers, {"model": name, "upload": "png"}))
            about.update({each.name: described(each) for each in those})
        forms = [bench.us(name, "form"), contenders.by_hand(model, bench.ports, bench.picture, "form")]
        if not bench.quick:
            with bench.running(name, *forms) as servers:
                cases.append(compare(bench, forms, 16, servers, {"model": name, "upload": "form"}))
    return {"cases": cases, "contenders": about}


def settle(contender, servers):
    """Leave only the best of a contender's ways, found at 16 connections, and stop the servers of the others."""
    if len(contender.ways) < 2:
        return
    best, tried = best_way(contender, 16, servers)
    print(f"{contender.name}, tried at 16 connections: {json.dumps(tried)}", flush=True)
    for way in contender.ways:
        if way.server is not best.server:
            way.server.stop()
            servers.remove(way.server)
    contender.ways = [best]
    contender.versions["tried at 16 connections"] = tried


def described(contender):
    return {"missing": contender.missing} if not contender.ways else contender.versions


def batching(bench):
    """A network on which batching pays."""
    grid = contenders.LITSERVE_QUICK if bench.quick else contenders.LITSERVE[1:3] + contenders.LITSERVE[-2:]
    model = bench.wide_model
    those = [
        bench.us(wide.NAME),
        contenders.by_hand(model, bench.ports, bench.picture),
        contenders.by_two_hands(model, bench.ports, bench.picture),
        contenders.litserve(bench.peers, model, bench.ports, bench.picture, grid),
    ]
    with bench.running(wide.NAME, *those) as servers:
        if not bench.quick:
            settle(those[3], servers)
        return {
            "batching": [
                compare(bench, those, connections, servers, {"model": wide.NAME, "upload": "png"})
                for connections in (CONNECTIONS[1:2] if bench.quick else CONNECTIONS)
            ]
        }


def binary(bench):
    """Tensors of pixels against pictures, on our own server."""
    cases = []
    for name in MODELS[1:] if bench.quick else MODELS:
        png = bench.us(name)
        call = our_calls(name, bench.picture, bench.pixels)["binary"]
        tensors = Contender("ours", [Way("binary tensors", png.ways[0].server, call)])
        png.name = "PNG"
        with bench.running(name, png, tensors) as servers:
            for connections in (16,) if bench.quick else (16, 64):
                if tensors.ways:
                    cases.append(
                        compare(bench, [tensors, png], connections, servers, {"model": name, "upload": "binary"})
                    )
    return {"binary": cases}


def overloads(bench):
    """Up to five times what it can do: of tiny pictures, of a wide network, and of pictures that are work."""
    photograph = encoded(Image.fromarray(data.astronaut()).resize((MEDIUM, MEDIUM)), "JPEG", quality=90)
    medium = Call(f"/predict?model={MODELS[0]}&resize=none", photograph, "image/jpeg", guarded())
    those = [
        (MODELS[0], "32x32 PNG", None),
        (wide.NAME, "32x32 PNG", None),
        (MODELS[0], f"{MEDIUM}x{MEDIUM} JPEG, not resized", medium),
    ]
    cases = []
    for name, what, call in those[1:2] if bench.quick else those:
        contender = bench.us(name)
        way = contender.ways[0]
        with bench.running(name, contender):
            cases += overload(bench, way.server.port, call or way.call, {"model": name, "picture": what})
    return {"overload": cases}


def overload(bench, port, call, case):
    seconds = 2 if bench.quick else 5
    load.wrk(port, call, 64, 2, refusals=True)
    peak = max(load.wrk(port, call, 64, 4, refusals=True)["rate"] for _ in range(2))
    if not peak:
        raise LoadError(f"{call.path}: nothing was answered in four seconds")
    for factor in (5,) if bench.quick else (1, 2, 5):
        found = load.overload(port, call, factor * peak, seconds)
        after = load.wrk(port, call, 64, 1, refusals=True)["rate"]
        print(
            f"\n{case['model']}, {case['picture']}, {factor}x its {peak:,.0f}/s: offered {found['offered']:,.0f}/s,"
            f" answered {found['good']:,.0f}/s = {found['good'] / peak:.0%} of peak in {found['good_ms']};"
            f" refused {found['refused']:,.0f}/s in {found['refused_ms']}; others {found['other_statuses']};"
            f" client {found['client_cores']:.2f} cores; afterwards {after:,.0f}/s",
            flush=True,
        )
        yield {**case, "peak": round(peak), "factor": factor, **found, "rate_after": round(after)}


def starting(bench):
    """From the start of the process to ready, and the memory that it takes."""
    times, resident = [], {}
    for start in range(3 if bench.quick else 8):
        port = bench.ports.take()
        server = ours(port)
        began = time.perf_counter()
        server.start(bench.folder / f"{port}.log")
        try:
            wait_until_ready(server)
            times.append(time.perf_counter() - began)
            if start:
                continue
            time.sleep(SETTLING_S)  # what is warmed in the background has been
            resident["idle"] = server.resident_megabytes()
            for name in MODELS:
                call = our_calls(name, bench.picture, bench.pixels)["png"]
                load.wrk(port, call, 64, bench.seconds)
            resident["after small pictures"] = server.resident_megabytes()
            for path in ("/predict?resize=none", "/activations?resize=1024"):
                Call(path, bench.large, "image/jpeg", guarded()).send(port)
            resident["after a large picture"] = server.resident_megabytes()
        finally:
            server.stop()
    found = {
        "ready_s": spread(times[1:], 2),
        "resident_megabytes": {name: round(each) for name, each in resident.items()},
    }
    print("\nstart to ready, megabytes:", json.dumps(found), flush=True)
    return {"starting": found}


def wait_until_ready(server):
    while server.process.poll() is None:
        try:
            connection = HTTPConnection("127.0.0.1", server.port, timeout=5)
            connection.request("GET", "/v2/health/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.005)
    raise StartError(server.last_words())


def liveness(bench):
    """How long health takes while large pictures are worked on."""
    found = {}
    seconds = 3 if bench.quick else 10
    port = bench.ports.take()
    server = ours(port)
    cases = {"/predict?model=cifar10-conv&resize=none": 4, "nothing else": 0, "/activations?resize=none": 2}
    try:
        server.start(bench.folder / f"{port}.log")
        wait_until_ready(server)
        time.sleep(SETTLING_S)
        for path, connections in list(cases.items())[: 1 if bench.quick else None]:
            with load.in_background(port, Call(path, bench.large, "image/jpeg", guarded()), connections, seconds + 2):
                time.sleep(1)
                times = load.probe(port, "/v2/health/live", PROBES, seconds)
            found[path] = load.percentiles(times)
            print(f"health while {path} x {connections}: {found[path]} ms", flush=True)
    finally:
        server.stop()
    return {"liveness": found}


def features(bench):
    """What the parts that can be left out cost."""
    name = MODELS[1]
    plain = our_calls(name, bench.picture, bench.pixels, key=None)["png"]
    whole = our_calls(name, bench.picture, bench.pixels)["png"]
    variants = {"ours": (ours(bench.ports.take()), whole), "no key": (ours(bench.ports.take(), key=None), plain)}
    for label, settings in OPTIONAL.items():
        variants[label] = ours(bench.ports.take(), settings), whole
    those = [Contender(label, [Way("", server, call)]) for label, (server, call) in variants.items()]
    with bench.running(name, *those) as servers:
        return {"features": [compare(bench, those, 16, servers, {"model": name, "upload": "png"})]}


OPTIONAL = {"no access log": {"SCS_LOG_LEVEL": "warning"}}

LONG = "limits", "features"  # left out of a quick run
SECTIONS = {
    each.__name__: each for each in (limits, comparison, batching, binary, overloads, starting, liveness, features)
}


def machine():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return {
        "processor": next((line.partition(": ")[2] for line in lines if line.startswith("model name")), ""),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "wrk": subprocess.run(["wrk", "-v"], capture_output=True, text=True).stdout.split("\n")[0].split(" [")[0],
        "versions": versions(sys.executable, "uvloop", "httptools"),
        "load_before": round(os.getloadavg()[0], 2),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a part of it, in under two minutes; writes nothing")
    parser.add_argument("--peers", type=Path, default=Path.home() / ".cache" / "scs-bench")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), metavar="SECTION")
    parser.add_argument("--rounds", type=int, help="turns that count, beside the first")
    parser.add_argument("--seconds", type=int, help="of each turn")
    parser.add_argument("--port", type=int, default=9400, help="the first of those that are used")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 4)
    arguments.seconds = arguments.seconds or (1 if arguments.quick else 2)
    began = time.perf_counter()
    report = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    report.update(machine=machine(), rounds=arguments.rounds, seconds=arguments.seconds)
    with tempfile.TemporaryDirectory() as folder:
        bench, failed = Bench(arguments, Path(folder)), []
        for name in [name for name in arguments.only if not (arguments.quick and name in LONG)]:
            start = time.perf_counter()
            try:
                report.update(SECTIONS[name](bench))
            except Exception:  # the other sections are worth having
                traceback.print_exc()
                failed.append(name)
            print(f"({name}: {time.perf_counter() - start:.0f} s)", flush=True)
            if not arguments.quick:
                RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nall of it took {time.perf_counter() - began:.0f} s{', without ' + ', '.join(failed) if failed else ''}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
