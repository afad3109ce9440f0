import json
import logging
import subprocess
import sys
import threading
import warnings

import pytest

from service.observability.logs import JsonFormatter, configure_logging, request_id


@pytest.fixture
def configured(capsys):
    """Configure the logging for one test; the context is what configures it."""
    root, hook = logging.getLogger(), threading.excepthook
    before = root.handlers[:], root.level
    yield configure_logging
    logging.captureWarnings(False)
    threading.excepthook = hook
    root.handlers[:], root.level = before


def lines(capsys) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_record_is_one_line_of_json(configured, capsys):
    configured("info", "json")
    logging.getLogger("some.where").warning("first\nsecond %d \u2028", 2)
    (line,) = lines(capsys)
    assert set(line) == {"time", "level", "logger", "message"}
    assert (line["level"], line["logger"], line["message"]) == ("WARNING", "some.where", "first\nsecond 2 \u2028")


def test_a_records_time_is_utc_to_the_millisecond():
    record = logging.makeLogRecord({"created": 1_700_000_000.25, "msg": ""})
    formatter = JsonFormatter()
    assert json.loads(formatter.format(record))["time"] == "2023-11-14T22:13:20.250Z"
    record.created += 1.5
    assert json.loads(formatter.format(record))["time"] == "2023-11-14T22:13:21.750Z"


def test_a_record_made_while_a_request_is_answered_carries_its_id(configured, capsys):
    configured("info", "json")
    token = request_id.set('mine"')
    logging.getLogger("x").info("within")
    request_id.reset(token)
    logging.getLogger("x").info("without")
    within, without = lines(capsys)
    assert within["request_id"] == 'mine"'
    assert "request_id" not in without


def test_an_exception_is_one_line_with_its_traceback_in_a_field(configured, capsys):
    configured("info", "json")
    try:
        raise RuntimeError("why")
    except RuntimeError:
        logging.getLogger("x").exception("failed")
    (line,) = lines(capsys)
    assert line["message"] == "failed"
    assert line["exception"].startswith("Traceback") and line["exception"].endswith("RuntimeError: why")


def test_warnings_and_threads_that_fail_are_lines_too(configured, capsys):
    configured("info", "json")

    def fail():
        raise RuntimeError("why")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("soon gone", DeprecationWarning, stacklevel=1)
    thread = threading.Thread(target=fail, name="worker")
    thread.start()
    thread.join()
    warned, failed = lines(capsys)
    assert warned["logger"] == "py.warnings" and "soon gone" in warned["message"]
    assert failed["message"] == "worker failed" and "RuntimeError: why" in failed["exception"]


def test_less_than_the_level_is_not_logged(configured, capsys):
    configured("error", "json")
    logging.getLogger("x").warning("not this")
    logging.getLogger("x").error("this")
    assert [line["message"] for line in lines(capsys)] == ["this"]


def test_where_there_is_no_terminal_the_form_is_json_unless_told(configured, capsys):
    configured("info", "auto")
    logging.getLogger("x").info("a")
    configured("info", "text")
    logging.getLogger("x").info("b")
    as_json, as_text = capsys.readouterr().err.splitlines()
    assert json.loads(as_json)["message"] == "a"
    assert as_text.endswith(" INFO x: b")


def test_lines_of_the_server_itself_have_the_same_form():
    code = """
from service.observability.logs import configure_logging
configure_logging("info", "json")
import logging
logging.getLogger("uvicorn.error").info("hello")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stderr)["logger"] == "uvicorn.error"
