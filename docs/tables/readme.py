"""Tables of README.md."""

import matching
import operations
from results import table

MODELS = "cifar10-scs", "cifar10-conv"
WORDS = {"by hand": "FastAPI, ONNX Runtime", "by hand, 2 processes": "the same, two processes", "opencv": "OpenCV"}


def faster():
    """How many times as fast as each peer the service and the matching are, least and most."""
    rows = []
    for peer in operations.PEERS:
        cells = []
        for model in MODELS:
            cases = [case for case in operations.served("cases") if case["model"] == model]
            cells.append(between([case["ours_over"][peer]["median"] for case in cases if case["ours_over"].get(peer)]))
        rows.append([WORDS.get(peer, peer), *cells, ""])
    scenes = dict.fromkeys(words[0] for words, *_ in matching.match_cases())
    for peer in ("opencv", "scikit-image"):
        found = [matching.first_case(scene, peer) for scene in scenes]
        rows.append([WORDS.get(peer, peer), "", "", between([theirs / ours for ours, theirs, _ in found])])
    return table(["beside", *(f"`/predict`, `{model}`" for model in MODELS), "matching, `ccoeff_normed`"], rows)


def between(ratios):
    return f"{min(ratios):.2g}x to {max(ratios):.2g}x"


TABLES = (faster,)
