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


def mistake():
    return {}["nothing"]


def refuse():
    raise OptionError("this was needed; that came")


def not_to_be_sent():
    return lambda: None


def large():
    return b"x" * 10**6, np.arange(10**6)
