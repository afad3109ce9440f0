"""Bodies are limited while they arrive, and what they take in memory with them."""

import asyncio

import pytest

from scs.errors import BusyError, TooLargeError
from service.http.middleware.body_limit import BodyLimit
from service.memory_budget import MemoryBudget

MOST = 1 << 20


def pass_through(pieces, **headers):
    """Send pieces through the middleware to an application: what it read, and what it answered."""
    waiting = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})
    read, sent = [], []

    async def application(scope, receive, send):
        more = True
        while more:
            message = await receive()
            read.append(message["body"])
            more = message["more_body"]

    async def receive():
        return waiting.pop(0)

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "path": headers.pop("path", "/predict"),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(BodyLimit(application, MOST, MemoryBudget(10**9))(scope, receive, send))
    return read, sent


def test_a_body_in_one_piece_is_handed_on_as_it_came():
    body = b"picture"
    read, _ = pass_through([body])
    assert b"".join(read) == body


@pytest.mark.slow
def test_tiny_pieces_become_few_large_ones():
    pieces = [bytes([i % 256]) for i in range(300_000)]
    read, _ = pass_through(pieces)
    assert b"".join(read) == b"".join(pieces)
    assert len(read) <= 6


@pytest.mark.parametrize("size", [1, 1000, MOST])
def test_a_body_that_goes_over_is_refused_at_once(size):
    arrived = []

    def pieces():
        for _ in range(3 * MOST // size):
            arrived.append(size)
            yield bytes(size)

    endless = pieces()

    async def receive():
        return {"type": "http.request", "body": next(endless), "more_body": True}

    async def application(scope, receive, send):
        while True:
            await receive()

    with pytest.raises(TooLargeError, match=f"{MOST} bytes"):
        asyncio.run(
            BodyLimit(application, MOST, MemoryBudget(10**9))(
                {"type": "http", "path": "/", "headers": []}, receive, None
            )
        )
    assert MOST < sum(arrived) <= MOST + size


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, gzip", "identity, gzip", "x" * 5000])
def test_a_compressed_body_is_refused_without_being_read(encoding):
    read, sent = pass_through([b"x"], content_encoding=encoding)
    assert not read
    assert sent[0]["status"] == 415
    assert (b"accept-encoding", b"identity") in sent[0]["headers"]


@pytest.mark.parametrize("headers", [{"content_encoding": "Identity"}, {"content_encoding": ""}, {}])
def test_a_body_that_is_not_compressed_is_read(headers):
    read, sent = pass_through([b"x"], **headers)
    assert b"".join(read) == b"x" and not sent


def test_the_protocols_routes_expand_bodies_themselves():
    read, _ = pass_through([b"x"], content_encoding="gzip", path="/v2/models/cat/infer")
    assert b"".join(read) == b"x"


@pytest.mark.parametrize("length", ["1048577", "9" * 100])
def test_a_length_that_is_too_much_is_refused_without_reading(length):
    read, sent = pass_through([b"x"], content_length=length)
    assert not read
    assert sent[0]["status"] == 413


def test_a_client_that_goes_while_it_sends_is_noticed():
    messages = [{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}]
    seen = []

    async def receive():
        return messages.pop(0)

    async def application(scope, receive, send):
        seen.append((await receive())["type"])

    asyncio.run(
        BodyLimit(application, MOST, MemoryBudget(10**9))({"type": "http", "path": "/", "headers": []}, receive, None)
    )
    assert seen == ["http.disconnect"]


def arriving(middleware, pieces, seconds, answers):
    """Send pieces of 1,000 bytes through the middleware, each after some seconds; note what is answered."""
    left = [{"type": "http.request", "body": b"x" * 1000, "more_body": number + 1 < pieces} for number in range(pieces)]

    async def receive():
        await asyncio.sleep(seconds)
        return left.pop(0) if left else {"type": "http.disconnect"}

    async def send(message):
        if message["type"] == "http.response.start":
            answers.append(message)

    return middleware({"type": "http", "path": "/predict", "headers": []}, receive, send)


async def read_all(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})


def test_what_arrives_counts_until_its_request_is_answered():
    budget, seen = MemoryBudget(10**9), []

    async def application(scope, receive, send):
        await receive()
        seen.append(budget.taken)

    asyncio.run(arriving(BodyLimit(application, MOST, budget), 5, 0, []))
    assert seen[0] >= 5000 and budget.taken == 0


def test_over_the_budget_a_body_is_refused_for_now():
    budget = MemoryBudget(20_000)
    with pytest.raises(BusyError, match="the bodies of requests need"):
        asyncio.run(arriving(BodyLimit(read_all, MOST, budget), 50, 0, []))
    assert budget.taken == 0


def test_when_memory_is_short_the_slowest_goes_first():
    budget, slow, fast = MemoryBudget(40_000), [], []
    middleware = BodyLimit(read_all, MOST, budget)

    async def both():
        trickling = asyncio.create_task(arriving(middleware, 10, 0.2, slow))
        await asyncio.sleep(0.5)
        await arriving(middleware, 12, 0, fast)
        await trickling

    asyncio.run(both())
    assert [answer["status"] for answer in fast] == [200]
    assert [answer["status"] for answer in slow] == [503]
    assert (b"retry-after", b"1") in slow[0]["headers"]
    assert budget.taken == 0
