import json
import logging

import pytest

from service.observability.access_log import LOGGER, Answered, log_answer
from service.observability.logs import JsonFormatter, TextFormatter

ANSWERED = Answered("POST", "/predict", 200, 0.0123, "cat", 321, "mine", "")


def access(**changes):
    given = {"name": LOGGER, "levelname": "INFO", "created": 1_700_000_000.25}
    return logging.makeLogRecord({**given, "msg": ANSWERED._replace(**changes)})


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_an_answer_is_logged_where_its_level_is_on(caplog, level):
    caplog.set_level(level, LOGGER)
    log_answer(logging.INFO, ANSWERED)
    expected = ["POST /predict 200 12.3 ms 321 bytes cat"] if level == logging.INFO else []
    assert [record.getMessage() for record in caplog.records] == expected


def test_a_request_that_asked_no_model_has_none_in_its_line():
    assert str(ANSWERED._replace(model="")) == "POST /predict 200 12.3 ms 321 bytes"


def test_the_line_of_a_request_has_what_is_known_of_it():
    assert json.loads(JsonFormatter().format(access())) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "INFO",
        "logger": "service.access",
        "message": "request answered",
        "request_id": "mine",
        "method": "POST",
        "route": "/predict",
        "status": 200,
        "seconds": 0.0123,
        "model": "cat",
        "bytes": 321,
    }


def test_what_a_client_chose_cannot_break_the_line_of_a_request():
    evil = access(method='G"T', model='"\\', request_id='", "level": "ERROR\\')
    line = json.loads(JsonFormatter().format(evil))
    assert (line["method"], line["model"], line["request_id"]) == ('G"T', '"\\', '", "level": "ERROR\\')
    assert line["level"] == "INFO"


def test_the_line_of_a_traced_request_names_its_trace():
    assert json.loads(JsonFormatter().format(access(trace_id="ab" * 16)))["trace_id"] == "ab" * 16


def test_the_line_of_a_request_for_people():
    text = TextFormatter().format(access())
    assert text.endswith(" INFO service.access: POST /predict 200 12.3 ms 321 bytes cat [mine]")


def test_the_line_of_a_request_is_a_record_that_other_formatters_take():
    form = "%(levelname)s %(name)s %(filename)s:%(lineno)d %(threadName)s %(message)s"
    text = logging.Formatter(form).format(access())
    assert text == "INFO service.access :0 MainThread POST /predict 200 12.3 ms 321 bytes cat"
