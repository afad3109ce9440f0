"""Times of decoding 8-bit PNGs and JPEGs in this checkout and in another, in turns in one run.

Each side is a process of its own that holds the files; in every turn both decode each file as often as fits into a few
milliseconds, one side after the other. What counts is the ratio of the two times in a turn: its median, and the tenths
of the turns that lie lowest and highest. Above 1 this checkout is faster.

Prints a table and writes bench/results/decode.json.

    python bench/decode.py ../before
"""

import argparse
import io
import json
import os
import pickle
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "decode.json"
MOST = 50_000_000
LEAST_S = 0.004  # of one side's turn


def saved(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def cases(photograph):
    """Files by name, each with the channels and the size that are asked for, and whether by draft."""
    image = Image.open(photograph).convert("RGB")
    small, large = image.resize((32, 32)), image.resize((4000, 3000))
    alpha = image.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(image.size))
    whole = f"{image.width}x{image.height}"
    return {
        "PNG RGB 32x32": (saved(small, "PNG"), 3, None, False),
        "PNG grey 32x32": (saved(small.convert("L"), "PNG"), 1, None, False),
        f"PNG RGB {whole}": (saved(image, "PNG"), 3, None, False),
        f"PNG RGB {whole}, to 32x32": (saved(image, "PNG"), 3, (32, 32), False),
        f"PNG RGBA {whole}": (saved(alpha, "PNG"), 3, None, False),
        f"PNG palette {whole}": (saved(image.quantize(200), "PNG"), 3, None, False),
        "JPEG 32x32": (saved(small, "JPEG"), 3, None, False),
        f"JPEG {whole}": (saved(image, "JPEG", quality=90), 3, None, False),
        f"JPEG {whole}, grey": (saved(image, "JPEG", quality=90), 1, None, False),
        f"JPEG progressive {whole}": (saved(image, "JPEG", quality=90, progressive=True), 3, None, False),
        "JPEG 4000x3000": (saved(large, "JPEG", quality=90), 3, None, False),
        "JPEG 4000x3000, to 32x32": (saved(large, "JPEG", quality=90), 3, (32, 32), False),
        "JPEG 4000x3000, to 32x32 with SCS_DRAFT_JPEG": (saved(large, "JPEG", quality=90), 3, (32, 32), True),
    }


def serve():
    """Time what is asked for on standard input, until that is closed; run in a process of either checkout."""
    try:
        from service.pictures.decode import decode_image
    except ImportError:
        from service.images import decode_image
    files = pickle.load(sys.stdin.buffer)
    for line in sys.stdin.buffer:
        data, channels, scale_to, draft = files[json.loads(line)]
        options = {"draft": True} if draft and "draft" in decode_image.__annotations__ else {}
        count, started = 0, time.perf_counter()
        while (taken := time.perf_counter() - started) < LEAST_S or not count:
            decode_image(data, channels=channels, max_pixels=MOST, scale_to=scale_to, **options)
            count += 1
        print(taken / count, flush=True)


class Side:
    def __init__(self, root, files):
        environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
        command = [root / ".venv/bin/python", Path(__file__), "--serve"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, cwd=root, env=environment, **pipes)
        pickle.dump(files, self.process.stdin)
        self.process.stdin.flush()

    def time(self, name):
        self.process.stdin.write(json.dumps(name).encode() + b"\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path, nargs="?", help="another checkout, with its own venv")
    parser.add_argument("--turns", type=int, default=41)
    parser.add_argument("--serve", action="store_true", help="for the processes that this one starts")
    asked = parser.parse_args()
    if asked.serve:
        return serve()
    roots = {"before": asked.before.resolve(), "after": ROOT}
    files = cases(ROOT / "docs" / "pictures" / "cat.jpg")
    sides = {side: Side(root, files) for side, root in roots.items()}
    rows = [row(sides, name, asked.turns) for name in files]
    for each in sides.values():
        each.process.stdin.close()
        each.process.wait()
    commits = {
        side: subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True).stdout.strip()
        for side, root in roots.items()
    }
    about = {"cores": len(os.sched_getaffinity(0)), "pillow": version("pillow"), "numpy": np.__version__}
    RESULTS.write_text(json.dumps({**about, "commits": commits, "rows": rows}, indent=1) + "\n")


def row(sides, name, turns):
    times = {side: [] for side in sides}
    for turn in range(turns + 2):
        for side in [*sides][:: 1 if turn % 2 else -1]:
            times[side].append(sides[side].time(name))
    kept = {side: each[2:] for side, each in times.items()}  # the first two warm up
    ratios = sorted(before / after for before, after in zip(kept["before"], kept["after"], strict=True))
    found = {
        "case": name,
        **{f"{side}_us": round(1e6 * statistics.median(each), 1) for side, each in kept.items()},
        "ratio": round(statistics.median(ratios), 3),
        "lowest": round(ratios[len(ratios) // 10], 3),
        "highest": round(ratios[-1 - len(ratios) // 10], 3),
    }
    print(f"{name:46} {found['before_us']:>10} {found['after_us']:>10} µs  {found['ratio']:.2f}x", flush=True)
    return found


if __name__ == "__main__":
    main()
