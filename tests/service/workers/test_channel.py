"""What is sent arrives as it was, with its large parts in a file that is gone with those who have it open."""

import os
import socket
import threading

import numpy as np
import pytest

from service.workers.channel import OpenFile, receive, send


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def passed(ends, message, **options):
    ours, theirs = ends
    sender = threading.Thread(target=send, args=(ours, message))
    sender.start()
    received = receive(theirs, **options)
    sender.join()
    return received


@pytest.mark.parametrize("count", [0, 10, 2**16 - 1, 2**16, 2**20 + 1])
def test_bytes_and_views_of_any_length_arrive(ends, count):
    content = os.urandom(count)
    first, second, third = passed(ends, (content, memoryview(content), bytearray(content)))
    assert bytes(first) == bytes(second) == bytes(third) == content
    assert isinstance(passed(ends, content, copied=True), bytes)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(10),
        np.random.default_rng(0).standard_normal((100, 200, 3)),
        np.random.default_rng(0).integers(0, 9, (500, 600)).astype(np.uint16)[::2, ::-1].T,
        np.zeros((0, 5)),
        np.arange(2**15, dtype=">f8"),
        np.array([{"a": 1}] * 20_000, object),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_of_any_kind_arrive_and_can_be_written_to(ends, array):
    received = passed(ends, {"array": array})["array"]
    np.testing.assert_array_equal(received, array)
    assert received.dtype == array.dtype
    received[...] = 0


def test_an_open_file_arrives_as_a_descriptor_of_its_own(ends, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with path.open("rb") as file:
        received, beside = passed(ends, (OpenFile(file.fileno()), b"x" * 2**20))
        assert received.descriptor != file.fileno()
    with open(received.descriptor, "rb") as mine:
        assert mine.read() == b"content"
    assert len(beside) == 2**20


def test_nothing_stays_open_once_a_message_is_forgotten(ends):
    def opened():
        return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

    before = opened()
    for _ in range(20):
        passed(ends, (b"x" * 2**20, np.zeros(10**5)))
    assert opened() == before


def test_the_end_of_the_other_side_is_an_error(ends):
    ours, theirs = ends
    ours.sendall(b"\0\0")
    ours.close()
    with pytest.raises(EOFError):
        receive(theirs)
