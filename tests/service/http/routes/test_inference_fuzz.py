"""Mutated requests of the inference protocol: every answer is a success or a refusal, and the service lives on."""

import base64
import copy
import gzip
import json
import random
import zlib
from pathlib import Path

import numpy as np
import pytest

from service.oip.datatypes import NUMBERS, write_byte_strings

URL = "/v2/models/shapes-scs/infer"
LENGTH = "inference-header-content-length"
ODD = [None, True, False, 0, 1, -1, 255, 256, 0.5, 2**31, 2**63, -(2**63), 1e308, "", "0", "image", "é", [], [[]], {}]

Request = tuple[bytes, dict[str, str]]


def assemble(head: dict, raw: bytes) -> Request:
    text = json.dumps(head).encode()
    return (text + raw, {LENGTH: str(len(text))}) if raw else (text, {})


def seeds(pixels: np.ndarray, file: bytes) -> list[tuple[dict, bytes]]:
    """Requests that are right: each datatype, in JSON and as binary data."""
    outputs = [{"name": "logits", "parameters": {"binary_data": True, "classification": 2}}]
    made: list[tuple[dict, bytes]] = []
    for datatype, kind in NUMBERS.items():
        tensor = {"name": "image", "datatype": datatype, "shape": list(pixels.shape)}
        raw = (pixels.astype(kind) * (0x3F80 if datatype == "BF16" else 1)).astype(kind).tobytes()  # BF16's one
        made.append(({"id": "7", "inputs": [tensor | {"data": pixels.tolist()}]}, b""))
        made.append(({"inputs": [tensor | {"parameters": {"binary_data_size": len(raw)}}], "outputs": outputs}, raw))
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1]}
    raw = write_byte_strings([file])
    made.append(({"inputs": [tensor | {"data": [base64.b64encode(file).decode()]}]}, b""))
    made.append(({"inputs": [tensor | {"parameters": {"binary_data_size": len(raw)}}]}, raw))
    return made


def mutate_json(head: dict, chance: random.Random) -> dict:
    """Put something odd in one place of a tree, or take that place away, or twice."""
    head = copy.deepcopy(head)
    place: dict | list = head
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return head
        key = chance.choice(keys)
        if isinstance(place[key], dict | list) and chance.random() < 0.8:
            place = place[key]
            continue
        way = chance.randrange(3)
        if way == 0:
            del place[key]
        elif way == 1 and isinstance(place, list):
            place.insert(key, copy.deepcopy(place[key]))
        else:
            place[key] = copy.deepcopy(chance.choice(ODD))
        return head


def mutate_bytes(body: bytes, chance: random.Random) -> bytes:
    """Change, take away, repeat or add some bytes."""
    start = chance.randrange(len(body) + 1)
    end = min(len(body), start + chance.choice((1, 1, 2, 8, 100)))
    some = chance.randbytes(chance.choice((1, 1, 4, 50)))
    return chance.choice(
        [body[:start] + some + body[end:], body[:start] + body[end:], body[:end] + body[start:], body[:start], some]
    )


def mutant(right: list[tuple[dict, bytes]], chance: random.Random) -> Request:
    head, raw = chance.choice(right)
    if chance.random() < 0.5:
        head = mutate_json(head, chance)
    if raw and chance.random() < 0.3:
        raw = mutate_bytes(raw, chance)
    body, headers = assemble(head, raw)
    if chance.random() < 0.4:
        body = mutate_bytes(body, chance)
    if chance.random() < 0.1:
        headers[LENGTH] = str(chance.choice((0, 1, len(body), len(body) + 1, 2**70, -1, "x", "1_0")))
    coding = chance.choice((None, None, "gzip", "deflate"))
    if coding:
        body = gzip.compress(body) if coding == "gzip" else zlib.compress(body)
        if chance.random() < 0.3:
            body = mutate_bytes(body, chance)
        headers["content-encoding"] = chance.choice((coding, coding, coding, "identity", "br"))
    return body, headers


@pytest.mark.parametrize("count", [400, pytest.param(5000, marks=pytest.mark.slow)])
def test_mutated_requests_are_answered_or_refused(client, shapes, encode, count):
    pixels = shapes.test_images[:1] // 200  # 0 and 1, right in every datatype
    right = seeds(pixels, encode(shapes.test_images[0]))
    for head, raw in right:
        body, headers = assemble(head, raw)
        answer = client.post(URL, content=body, headers=headers)
        assert answer.status_code == 200, answer.text
    chance = random.Random(count)
    statuses: dict[int, int] = {}
    halfway = 0
    for number in range(count):
        body, headers = mutant(right, chance)
        answer = client.post(URL, content=body, headers=headers)
        which = f"mutant {number} of {count}: {answer.status_code} {answer.content[:200]!r} for {body[:300]!r}"
        assert answer.status_code < 500, which
        if answer.status_code != 200:
            assert list(answer.json()) == ["error"] and 0 < len(answer.json()["error"]) < 400, which
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
        if number == count // 2:
            halfway = resident()
    assert len(statuses) > 2 and statuses[200] > count / 20, "the mutants are neither all right nor all wrong"
    assert resident() - halfway < 200 * 2**20  # what is compiled in the background as a service starts takes as much
    assert client.get("/v2/health/ready").status_code == 200


def resident() -> int:
    """Bytes of memory that this process has, where the system says so."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * 4096 if status.exists() else 0
