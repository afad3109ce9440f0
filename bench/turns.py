"""Contenders in turns: what the sections of bench/serve.py share, and how figures of turns become ratios."""

import io
import statistics
import sys
from contextlib import contextmanager, suppress

import load
import numpy as np
import onnxruntime as ort
import wide
from contenders import Contender, Ports, Way, check, our_calls, ours
from load import LoadError
from PIL import Image
from servers import StartError, alone
from skimage import data

from models.cards.catalogue import bundled_repository, find

MODELS = "cifar10-scs", "cifar10-conv"
CONNECTIONS = 1, 16, 64
TRIED_S = 1  # for each way of a contender, before it is compared
LARGE = 2048  # pixels on a side


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
                        if way.server.name == "ours":
                            way.server.wait_until_ready()
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
