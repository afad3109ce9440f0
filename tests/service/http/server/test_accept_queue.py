"""Whoever has a connection when the port is closed keeps it."""

import socket
import sys
import threading
import time

import pytest

from service.http.server.accept_queue import accept_the_last

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs an accept queue as Linux has it")


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def test_all_that_wait_are_accepted_and_the_next_is_refused(listener):
    address = listener.getsockname()
    waiting = [socket.create_connection(address) for _ in range(5)]
    accepted = accept_the_last([listener])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    assert {each.getpeername() for each in accepted} == {each.getsockname() for each in waiting}
    for each in (*waiting, *accepted):
        each.close()


def test_one_whose_handshake_had_begun_is_waited_for(listener):
    # The option holds a handshake open, on this side alone, until the first byte comes.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 5)
    with socket.create_connection(listener.getsockname()) as client:

        def speak():
            time.sleep(0.1)
            client.sendall(b"here")

        speaking = threading.Thread(target=speak)
        speaking.start()
        accepted = accept_the_last([listener])
        speaking.join()
        ours = [each for each in accepted if each.getpeername() == client.getsockname()]
        assert [each.recv(4) for each in ours] == [b"here"]
        for each in accepted:
            each.close()
