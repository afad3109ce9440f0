"""Work for the tests of worker processes, in a module that these find by its name."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from scs.errors import OptionError


def echo(given):
    return given


def process():
    return os.getpid()


def spin():
    while True:
        pass


def hold_the_lock():
    """Work that holds the interpreter's lock, so that nothing but a kill ends it."""
    sum(range(10**15))


def eat():
    return sum(float(np.ones(10 * 2**20).sum()) for _ in [np.ones(2**30)])


def sleep_and_write(path, seconds):
    time.sleep(seconds)
    Path(path).write_text("done")


def abort():
    os.abort()


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_of(sent):
    die()


def mistake():
    return {}["nothing"]


def refuse():
    raise OptionError("this was needed; that came")


def not_to_be_sent():
    return lambda: None


def large():
    return b"x" * 10**6, np.arange(10**6)


def note_and_wait(folder, *given):
    """Write a file named by this process, and wait for one named ``go_on`` beside it."""
    folder = Path(folder)
    (folder / str(os.getpid())).touch()
    while not (folder / "go_on").exists():
        time.sleep(0.01)
    return b"{}"


def note_and_wait_with_maps(folder, *given):
    """Do so, and answer as the task of ``/activations`` does: with no maps to keep."""
    return note_and_wait(folder), ()


def is_alive(number):
    """Whether there is a process of this number, and it is no zombie."""
    try:
        status = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
