"""Checks and timings of everything that can run on a GPU: `make gpu-check`, under eight minutes.

Checks, each against the CPU: every node of every model on CUDA; the ONNX op in every kind of window; the answers of
/predict, /activations and /match; the layers of torch with their gradients; the tests of what scores on a device.
Times, median and quartiles, the CPU in turns with the GPU: networks, matches; on the GPU alone: the layer and training
beside convolution, and from which size of template spectra beat convolution (torch_scores.DIRECT_PIXELS).

Where there is no GPU it says so, writes nothing and ends with status 0. Where there is one it writes
bench/results/gpu.json, and ends with status 1 if a check failed, after the others have run. A part that no time is left
for is named; a check that was left out counts as failed.

    python bench/gpu.py [--seconds 450]
"""

import argparse
import io
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from fastapi.testclient import TestClient
from PIL import Image
from skimage import data

sys.path.insert(0, str(Path(__file__).parent))

import layer as onnx_layer
import training
from timing import interleaved, show, summary

from models.cards.catalogue import bundled_repository, find
from models.onnx.op import SIMILARITY
from models.runtime.device import cuda_obstacle, open_session
from models.runtime.load import load_model
from scs.matching.scores import score_maps
from scs.matching.scoring import torch_scores
from scs.matching.threads import available_threads
from scs.nn.layers import MaxAbsPool2d, SharpenedCosineSimilarity2d
from service.app import create_app
from service.settings import Settings
from service.tasks.match.device import cuda_match_obstacle

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "gpu.json"
DEVICE_TESTS = ROOT / "tests" / "scs" / "matching" / "scoring" / "test_torch_scores.py"
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
MODELS = "mnist-scs", "mnist-conv", "cifar10-scs", "cifar10-conv"
METHODS = "ccoeff_normed", "ccoeff", "sqdiff_normed", "scs"
SECONDS = 450.0  # for everything

# Largest difference from the CPU's answer, by the largest number of it. Products are float32 on both, added up in
# another order.
TOLERANCE = 1e-3
# Of a map with many places so many may differ by more: pooling by magnitude jumps where two values of a window are
# opposite and equally large, and rounding alone decides which is taken.
JUMPS = 2e-3
MANY = 1000
GRADIENT_TOLERANCE = 1e-9  # likewise, of layers in float64

WINDOWS = {
    "3x3": {},
    "3x3, every second place": {"strides": [2, 2]},
    "3x3, dilated": {"dilations": [2, 2], "pads": [2, 2, 2, 2]},
    "3x3, padded on one side": {"pads": [0, 0, 2, 2]},
    "3x3, each channel by itself": {"group": 8},
}
BATCHES = 1, 32
FRESH_BATCHES = 3, 5, 7, 9  # that no run has had before
SCENES = {"640x480": (480, 640), "1920x1080": (1080, 1920), "3840x2160": (2160, 3840)}
MATCHES = [("640x480", 1), ("640x480", 16), ("640x480", 64), ("1920x1080", 1), ("1920x1080", 16), ("3840x2160", 1)]
TEMPLATE = 64
SIDES = 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32


@dataclass
class Check:
    """What was checked, whether it is so, and what came."""

    name: str
    passed: bool
    found: str
    figures: dict = field(default_factory=dict)


# Checks. Each takes the device to be checked, so that its own logic can be tested on the CPU.


def placed(content, images, provider):
    """Nodes of a model by the provider that ran them: ``{provider: ["name (op)", …]}``."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "run")
        session = ort.InferenceSession(content, options, providers=[provider], enable_fallback=0)
        session.run(None, {"image": images})
        events = json.loads(Path(session.end_profiling()).read_text())
    nodes = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            name = f"{event['name'].removesuffix('_kernel_time')} ({event['args']['op_name']})"
            nodes.setdefault(event["args"]["provider"], []).append(name)
    return nodes


def check_placement(name, device):
    """Every node of a model runs on the device, for its logits and for its layers, and the service loads it there."""
    entry = find(bundled_repository(), name)
    content, card = entry.verified_bytes(), entry.card()
    size = card.input
    images = np.zeros((2, size.height, size.width, size.channels), np.uint8)
    opened = onnx.load_from_string(content)
    opened.graph.output.extend(onnx.ValueInfoProto(name=each.tensor) for each in card.layers)
    astray, counted = [], Counter()
    for model in (content, opened.SerializeToString()):
        for provider, nodes in placed(model, images, PROVIDERS[device]).items():
            counted[provider] += len(nodes)
            astray += nodes if provider != PROVIDERS[device] else []
    load_model(content, card, device).layers(images, [each.name for each in card.layers])
    found = f"not on {device}: {', '.join(sorted(set(astray)))}" if astray else f"{counted[PROVIDERS[device]]} nodes"
    return Check(f"nodes of {name}", bool(counted) and not astray, found, dict(counted))


def check_op(words, window, device):
    """One node of the op, kernels as they come, gives on the device what it gives on the CPU."""
    shape = (2, 8, 8, 24, 3)
    content = onnx_layer.one_layer(SIMILARITY, shape, **window)
    x = np.random.default_rng(0).normal(size=(2, 8, 24, 20)).astype(np.float32)
    here, there = (open_session(content, each).run(None, {"x": x})[0] for each in ("cpu", device))
    return compared(f"the op, {words}", {"y": here}, {"y": there})


def compared(name, here, there, tolerance=TOLERANCE):
    """A check that arrays of the same names are the same, within the tolerance and but for a few jumps of pooling."""
    if here.keys() != there.keys():
        return Check(name, False, f"only one has {', '.join(sorted(here.keys() ^ there.keys())[:5])}")
    worst, wrong = 0.0, []
    for key, mine in here.items():
        mine, other = np.asarray(mine, np.float64), np.asarray(there[key], np.float64)
        if mine.shape != other.shape:
            wrong.append(f"{key} is {other.shape}, not {mine.shape}")
            continue
        apart = np.abs(other - mine) / max(1e-30, float(np.abs(mine).max(initial=0)))
        jumped = float((~(apart <= tolerance)).mean()) if apart.size else 0.0  # what is not a number has jumped
        worst = max(worst, float(np.quantile(apart, 1 - JUMPS if apart.size >= MANY else 1)) if apart.size else 0.0)
        if jumped > (JUMPS if apart.size >= MANY else 0):
            wrong.append(f"{key}: {jumped:.2%} differ by more than {tolerance:g} of its range")
    found = "; ".join(wrong[:5]) if wrong else f"largest difference {worst:.1e} of the range"
    return Check(name, not wrong, found, {"difference": worst, "compared": len(here)})


def requests():
    """What is asked: name, path, form of the answer, options and files."""
    photograph = png(data.chelsea())
    scene, part = png(data.camera()), png(data.camera()[200:260, 230:300])
    for model in MODELS:
        image = {"file": ("cat.png", photograph)}
        yield f"predict {model}", "/predict", "application/json", {"model": model, "top_k": 10}, image
        sent = {"model": model, "channels": "0,1"}
        yield f"activations {model}", "/activations", "application/json", sent, image
        yield f"activations {model}, npz", "/activations", "application/x-npz", sent | {"channels": "all"}, image
    files = {"scene": ("scene.png", scene), "template": ("part.png", part)}
    for method in METHODS:
        yield f"match {method}", "/match", "application/json", {"method": method, "top": 3}, files
    yield "match, npz", "/match", "application/x-npz", {}, files
    yield "match, turned", "/match", "application/json", {"angles": "-20:20"}, files


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def answers(device):
    """Numbers of every answer of the whole service with ``SCS_DEVICE`` as given: ``{request: {name: array}}``."""
    with TestClient(create_app(Settings(device=device))) as client:
        found = {}
        for name, path, form, options, files in requests():
            answer = client.post(path, params=options, files=files, headers={"accept": form})
            if answer.status_code != 200:
                found[name] = {f"status {answer.status_code}: {answer.text[:300]}": 0}
            elif form == "application/json":
                found[name] = NUMBERS[path](answer.json())
            else:
                with np.load(io.BytesIO(answer.content)) as arrays:
                    found[name] = dict(arrays)
    return found


def predict_numbers(answer):
    return {each["label"]: each["probability"] for each in answer["predictions"][0]["classes"]}


def activation_numbers(answer):
    numbers = {}
    for each in answer["layers"]:
        of_channels = {energy["channel"]: energy["energy"] for energy in each["energies"]}
        numbers[f"{each['name']} energies"] = [of_channels[channel] for channel in sorted(of_channels)]
        for heatmap in each["heatmaps"]:
            numbers[f"{each['name']} {heatmap['channel']}"] = [heatmap["low"], heatmap["high"]]
    return numbers


def match_numbers(answer):
    numbers = {"device": answer["device"]}
    for place, each in enumerate(answer["matches"]):
        numbers[f"{place} place"] = [each["x"], each["y"]]
        numbers[f"{place} score"] = [each["score"], each["present"]]
    return numbers


NUMBERS = {"/predict": predict_numbers, "/activations": activation_numbers, "/match": match_numbers}


def check_answers(device, ask=answers):
    """A check for each request: the service answers on the device as on the CPU, and upright matches ran there."""
    here, there = ask("cpu"), ask(device)
    for name, mine in here.items():
        numbers, others = ({key: one for key, one in each.items() if key != "device"} for each in (mine, there[name]))
        yield compared(name, numbers, others)
    for name in (f"match {method}" for method in METHODS):
        ran_on = there[name].get("device", "nothing")
        yield Check(f"device of {name}", ran_on == device, f"on {ran_on}; asked for {device}")


def check_layer(name, make, device):
    """A layer of torch and its gradients, in float64, are on the device what they are on the CPU."""
    results = []
    for place in ("cpu", device):
        torch.manual_seed(0)
        module = make().double()
        x = torch.randn(2, 6, 15, 14, dtype=torch.float64)
        module, x = module.to(place), x.to(place).requires_grad_()
        y = module(x)
        y.backward(torch.linspace(-1, 1, y.numel(), dtype=torch.float64).reshape(y.shape).to(place))
        gradients = {key: parameter.grad for key, parameter in module.named_parameters()}
        tensors = {"y": y.detach(), "x": x.grad} | gradients
        results.append({key: tensor.cpu().numpy() for key, tensor in tensors.items()})
    return compared(f"torch, {name}", *results, tolerance=GRADIENT_TOLERANCE)


LAYERS = {
    "the layer": lambda: SharpenedCosineSimilarity2d(6, 5, 3, padding="same", gain=True),
    "the layer, dilated": lambda: SharpenedCosineSimilarity2d(6, 5, 3, padding=2, dilation=2),
    "the layer, each channel by itself": lambda: SharpenedCosineSimilarity2d(6, 6, 3, padding="same", groups=6),
    "pooling by magnitude": lambda: MaxAbsPool2d(2),
}


def check_tests(path, device):
    """The tests in a file whose names have the device in them pass, and there are some."""
    command = [sys.executable, "-m", "pytest", str(path), "-q", "-k", device, "-p", "no:cacheprovider"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150)
    last = (ran.stdout.strip().splitlines() or [ran.stderr.strip()[-200:]])[-1]
    return Check(f"tests of {path.name}", ran.returncode == 0 and "skipped" not in last, last)


# Times.


def network_times(device, seconds):
    """Runs of each network on the CPU and on the device; and how long the first run at a new batch size takes."""
    for name in MODELS:
        entry = find(bundled_repository(), name)
        places = {"cpu": "cpu", "gpu": device}
        sides = {side: load_model(entry.verified_bytes(), entry.card(), place) for side, place in places.items()}
        size = entry.card().input
        draw = partial(np.random.default_rng(0).integers, 0, 256, dtype=np.uint8)
        first = []
        for batch in FRESH_BATCHES:
            images = draw(size=(batch, size.height, size.width, size.channels))
            started = time.perf_counter()
            sides["gpu"].logits(images)
            first.append(1000 * (time.perf_counter() - started))
        for batch in BATCHES:
            images = draw(size=(batch, size.height, size.width, size.channels))
            runs = {side: partial(model.logits, images) for side, model in sides.items()}
            yield against_cpu(f"{name}, batch {batch}", runs, seconds) | {"first_ms": round(float(np.median(first)), 3)}


def against_cpu(words, runs, seconds):
    cpu, gpu = (summary(times) for times in interleaved(runs, seconds).values())
    ratio = cpu["median_ms"] / gpu["median_ms"]
    print(f"{words:<42}CPU {show(cpu):>26}  GPU {show(gpu):>26}  {ratio:>7.2f}x", flush=True)
    return {"case": words, "cpu": cpu, "gpu": gpu, "cpu_over_gpu": round(ratio, 3)}


def picture(height, width):
    """Photographs side by side, none of them resized."""
    tiles = np.hstack([data.camera(), data.moon(), data.brick(), data.grass()])
    return np.tile(tiles, (-(-height // tiles.shape[0]), -(-width // tiles.shape[1])))[:height, :width]


def cut_templates(scene, count, side):
    rng = np.random.default_rng(0)
    rows, columns = (rng.integers(0, length - side, count) for length in scene.shape)
    return [scene[row : row + side, column : column + side] for row, column in zip(rows, columns, strict=True)]


def best_scores(scene, templates, method, device=None):
    """The best score of each template; from NumPy to NumPy, so that transfers are in the time."""
    return [float(np.abs(scored.scores).max()) for scored in score_maps(scene, templates, method, device=device)]


def match_times(device, seconds):
    """Templates on scenes, one by one and as banks."""
    for name, count in MATCHES:
        scene = picture(*SCENES[name])
        templates = cut_templates(scene, count, TEMPLATE)
        for method in ("ccoeff_normed", "scs", "sqdiff") if count == 1 else ("ccoeff_normed",):
            places = {"cpu": None, "gpu": device}
            runs = {side: partial(best_scores, scene, templates, method, place) for side, place in places.items()}
            yield against_cpu(f"{name}, {count} of {TEMPLATE}x{TEMPLATE}, {method}", runs, seconds)


def crossover(device, seconds):
    """Convolution against spectra on the device over the template's size."""
    scene = picture(*SCENES["1920x1080"])
    for side in SIDES:
        templates = cut_templates(scene, 1, side)
        ways = {"convolution": max(SIDES) ** 2, "spectra": 0}
        runs = {way: partial(forced, scene, templates, device, pixels) for way, pixels in ways.items()}
        direct, spectral = (summary(times) for times in interleaved(runs, seconds).values())
        ratio = spectral["median_ms"] / direct["median_ms"]
        print(f"{f'{side}x{side}':<8}convolution {show(direct):>26}  spectra {show(spectral):>26}  {ratio:>6.2f}")
        yield {"side": side, "convolution": direct, "spectra": spectral, "spectra_over_convolution": round(ratio, 3)}


def forced(scene, templates, device, pixels):
    usual, torch_scores.DIRECT_PIXELS = torch_scores.DIRECT_PIXELS, pixels
    try:
        return best_scores(scene, templates, "ccoeff_normed", device)
    finally:
        torch_scores.DIRECT_PIXELS = usual


def op_times(device, seconds):
    """One node on the device: convolution, and the op by the functions in the file."""
    for shape in onnx_layer.SHAPES:
        images, channels, _, side, _ = shape
        ops = {"conv": "Conv", "scs": SIMILARITY}
        sides = {name: open_session(onnx_layer.one_layer(op, shape), device) for name, op in ops.items()}
        x = np.random.default_rng(1).normal(size=(images, channels, side, side)).astype(np.float32)
        found = onnx_layer.compared(sides, {"x": x}, seconds)
        onnx_layer.report(f"layer {shape}, {device}", found)
        yield {"shape": shape, "sides": found}


def torch_layer_times(device, seconds, shapes=training.SHAPES):
    """Layers of torch on the device beside convolution, in two precisions: inference, and a forward and backward."""
    for dtype in (torch.float32, torch.bfloat16):
        for shape in shapes:
            made, x, grad = training.layer_steps(shape, device)
            print(f"{dtype}, {shape}")
            yield {
                "dtype": str(dtype),
                "shape": shape,
                "inference": training.measured(
                    {name: partial(training.infer, each, x, dtype) for name, each in made.items()}, "conv2d", seconds
                ),
                "training": training.measured(
                    {name: partial(training.step, each, x, grad, dtype) for name, each in made.items()},
                    "conv2d",
                    seconds,
                ),
            }


def training_times(device, seconds):
    """A whole step of either bundled CIFAR-10 recipe, 128 images, beside convolution's."""
    yield training.measured(training.network_steps(device), "conv", seconds)


def compiled_times(device, seconds):
    """A forward and backward through torch.compile, which makes one kernel of what follows the product."""
    made, x, grad = training.layer_steps(training.SHAPES[1], device)
    steps = {
        name: partial(training.step, torch.compile(made[name]) if name == "scs" else made[name], x, grad)
        for name in ("conv2d", "scs")
    }
    yield training.measured(steps, "conv2d", seconds)


# The whole.


class Budget:
    """Seconds that are left."""

    def __init__(self, seconds, clock=time.monotonic):
        self._clock = clock
        self._end = clock() + seconds

    def left(self):
        return self._end - self._clock()


@dataclass
class Part:
    """A piece of the whole: what it makes, and seconds without which it is not begun."""

    name: str
    make: Callable
    needs: float
    checks: bool


def parts(device):
    checks = [
        ("nodes", 15, lambda: (attempted(f"nodes of {name}", check_placement, name, device) for name in MODELS)),
        ("op", 5, lambda: (attempted(f"the op, {w}", check_op, w, each, device) for w, each in WINDOWS.items())),
        ("layers", 5, lambda: (attempted(f"torch, {n}", check_layer, n, make, device) for n, make in LAYERS.items())),
        ("answers", 40, lambda: check_answers(device)),
        ("tests", 90, lambda: [check_tests(DEVICE_TESTS, device)]),
    ]
    times = [
        ("networks", 25, lambda: network_times(device, 2)),
        ("matches", 25, lambda: match_times(device, 2)),
        ("training", 15, lambda: training_times(device, 5)),
        ("torch_layers", 45, lambda: torch_layer_times(device, 1.5)),
        ("onnx_layers", 12, lambda: op_times(device, 2)),
        ("crossover", 20, lambda: crossover(device, 1)),
        ("compiled", 120, lambda: compiled_times(device, 3)),
    ]
    return [Part(name, make, needs, True) for name, needs, make in checks] + [
        Part(name, make, needs, False) for name, needs, make in times
    ]


def attempted(name, check, *given):
    """A check, or what kept it from being made."""
    try:
        return check(*given)
    except Exception as error:  # torch and the runtime each raise classes of their own
        return Check(name, False, f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:300]}")


def run(wanted, budget):
    """Checks and times of all parts that there is time for; whatever fails, the rest is still run."""
    checks, times = [], {}
    for part in wanted:
        if budget.left() < part.needs:
            print(f"left out: {part.name}; {max(0, budget.left()):.0f} of the {part.needs:g} seconds it needs are left")
            if part.checks:
                checks.append(Check(part.name, False, "left out: no time was left"))
            continue
        print(f"\n{part.name}", flush=True)
        try:
            for each in part.make():
                if part.checks:
                    checks.append(each)
                    print(f"{'passed' if each.passed else 'FAILED'}  {each.name}: {each.found}", flush=True)
                else:
                    times.setdefault(part.name, []).append(each)
        except Exception as error:
            said = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:300]}"
            checks.append(Check(part.name, False, said))
            print(f"FAILED  {part.name}: {said}", flush=True)
    return checks, times


def gpus():
    """Name and driver of each NVIDIA GPU, as its driver tells them; none where there is no driver."""
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return told.stdout.strip().splitlines() if told.returncode == 0 else []


def report(checks, times, there):
    named = torch.cuda.get_device_name() if torch.cuda.is_available() else "unnamed"
    return {
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "onnxruntime": ort.__version__,
        },
        "gpu": there[0] if there else named,
        "cpu_threads": available_threads(),
        "checks": [asdict(check) for check in checks],
        **times,
    }


def main(arguments=None, results=RESULTS):
    """Status for the shell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for everything")
    budget = Budget(parser.parse_args(arguments).seconds)
    there, obstacle = gpus(), cuda_obstacle()
    if not there and obstacle:
        print(f"no GPU here: {obstacle}. Nothing was checked and nothing is recorded.")
        return 0
    before = [Check("ONNX Runtime on CUDA", obstacle is None, obstacle or "a small graph ran")]
    before.append(Check("torch on CUDA", (why := cuda_match_obstacle("cuda")) is None, why or "a sum was right"))
    for check in before:
        print(f"{'passed' if check.passed else 'FAILED'}  {check.name}: {check.found}", flush=True)
    checks, times = run(parts("cuda"), budget)
    checks = before + checks
    results.write_text(json.dumps(report(checks, times, there), indent=1) + "\n")
    failed = [check.name for check in checks if not check.passed]
    print(
        f"\n{len(checks) - len(failed)} of {len(checks)} checks passed"
        + "".join(f"\nfailed: {name}" for name in failed)
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
