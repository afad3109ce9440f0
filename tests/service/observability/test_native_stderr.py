"""Lines of native libraries are records of the log, and nothing hangs or is lost for it."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")

BEGIN = """
import ctypes, logging, os, subprocess, sys
from service.observability.logs import configure_logging
from service.observability.native_stderr import native_stderr_logged
with native_stderr_logged():
    configure_logging("info", "json")
"""


def run(*lines):
    """The process that ran these lines with its native stderr logged."""
    code = BEGIN + "".join(f"    {line}\n" for line in lines)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def messages(done):
    """Loggers and messages, where every line is JSON."""
    return [(line["logger"], line["message"]) for line in map(json.loads, done.stderr.splitlines())]


def test_each_line_of_a_library_is_a_record_and_the_last_is_not_lost():
    done = run(r"os.write(2, b'libpng warning: one\n\x1b[0;93mtwo \xff\x1b[m\n\nthree')")
    assert messages(done) == [("stderr", "libpng warning: one"), ("stderr", "two \N{REPLACEMENT CHARACTER}")] + [
        ("stderr", "three")
    ]


def test_pythons_own_log_goes_straight_on():
    done = run("logging.getLogger('mine').warning('hello')")
    assert messages(done) == [("mine", "hello")]


def test_lines_of_a_child_are_records_and_those_of_its_log_stay_as_they_are():
    ours = '{"time": "now", "logger": "child", "message": "hi"}'
    child = f"import os; os.write(2, {ours.encode()!r} + bytes([10]) + b'plain')"
    done = run(f"subprocess.run([sys.executable, '-c', {child!r}])")
    assert messages(done) == [("child", "hi"), ("stderr", "plain")]


def test_a_child_that_stays_does_not_hold_up_the_end():
    done = run(
        "child = subprocess.Popen(['sleep', '300'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)",
        "os.write(2, b'before\\n')",
        "import atexit; atexit.register(child.kill)",
    )
    assert done.returncode == 0 and messages(done) == [("stderr", "before")]


def test_a_library_that_writes_much_with_the_interpreters_lock_held_does_not_hang():
    done = run("text = (b'y' * 99 + b'\\n') * 40_000", "ctypes.PyDLL(None).write(2, text, len(text))")
    assert done.returncode == 0 and len(messages(done)) > 1000


def test_the_traceback_of_a_crash_is_seen():
    done = run("raise RuntimeError('this is why')")
    assert done.returncode == 1 and "RuntimeError: this is why" in done.stderr and "Traceback" in done.stderr


def test_the_report_of_a_fatal_signal_is_seen():
    done = run("os.abort()")
    assert done.returncode < 0 and "Fatal Python error: Aborted" in done.stderr


def test_afterwards_everything_is_as_before():
    code = BEGIN + "os.write(2, b'plain\\n'); print('printed', file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stderr == "plain\nprinted\n"
