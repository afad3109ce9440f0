"""When a question is asked again: the rules, without a network and without a clock."""

import json
from email.utils import format_datetime

import httpx2 as httpx
import pytest

from scs.errors import ProblemError, ServerError
from service.api.files import NamedBytes
from service.client.conversation import Conversation, Reply, Wait, _problem
from service.client.questions import Question

URL = "http://127.0.0.1:8000"
PICTURE = NamedBytes("cat", b"pixels", digest="d" * 64)
FINE = Reply(200, {}, b"fine")


def refusal(status, kind="busy", **headers):
    body = json.dumps({"detail": "no", "title": "No", "type": f"/problems/{kind}"}).encode()
    return Reply(status, {"content-type": "application/problem+json", **headers}, body)


def question(**changes):
    return Question("/activations", lambda body: bytes(body).decode(), files=[("file", PICTURE)], **changes)


def answered(replies, asked=None, patience_s=30.0, start_s=0.0, known=()):
    """Go through a conversation; return the answer, the waits, and the requests that were sent."""
    rules = Conversation(URL, {}, 1.0, patience_s, start_s, set(known))
    conversation = rules.of(asked or question())
    waits, requests, left = [], [], list(replies)
    step = next(conversation)
    while True:
        try:
            if isinstance(step, Wait):
                waits.append(step.seconds)
                step = next(conversation)
                continue
            requests.append(step)
            reply = left.pop(0)
            step = conversation.throw(reply) if isinstance(reply, Exception) else conversation.send(reply)
        except StopIteration as end:
            return end.value, waits, requests


def test_a_busy_service_is_asked_again_when_it_says_so():
    busy = refusal(503, **{"retry-after": "2"})
    answer, waits, requests = answered([busy, busy, FINE])
    assert (answer, len(requests)) == ("fine", 3)
    assert all(2 <= wait <= 2.5 for wait in waits) and len(waits) == 2


def test_waiting_ends_with_the_patience():
    busy = refusal(503, **{"retry-after": "2"})
    with pytest.raises(ProblemError, match="answered 503: no"):
        answered([busy] * 3, patience_s=5)
    for patience in (0, 1.9):
        with pytest.raises(ProblemError):
            answered([busy], patience_s=patience)


def test_a_date_may_say_when_to_ask_again():
    from datetime import UTC, datetime, timedelta

    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=3), usegmt=True)
    _, (wait,), _ = answered([refusal(503, **{"retry-after": soon}), FINE])
    assert 0 <= wait <= 4


@pytest.mark.parametrize("said", ["", "soon", "-1", "1e9", "²"])
def test_what_says_no_time_is_not_asked_again(said):
    with pytest.raises(ProblemError):
        answered([refusal(503, **{"retry-after": said})])


@pytest.mark.parametrize("status", [400, 404, 422, 429, 500, 504])
def test_only_a_busy_service_is_asked_again(status):
    with pytest.raises(ProblemError) as refused:
        answered([refusal(status, **{"retry-after": "1"})])
    assert refused.value.status == status


@pytest.mark.parametrize("lost", [httpx.ReadError("reset"), httpx.RemoteProtocolError("closed"), Reply(500, {}, b"")])
def test_a_question_whose_replica_is_lost_is_asked_again_after_pauses_that_double(lost):
    answer, waits, requests = answered([lost, lost, FINE])
    assert (answer, len(requests)) == ("fine", 3)
    assert 0.25 <= waits[0] <= 0.3125 and 0.5 <= waits[1] <= 0.625
    with pytest.raises(ServerError):
        answered([lost], patience_s=0)
    with pytest.raises(ServerError):
        answered([lost] * 3, patience_s=1.7)


def test_a_failure_that_the_service_tells_of_is_not_taken_for_a_lost_replica():
    with pytest.raises(ProblemError, match="answered 500"):
        answered([refusal(500)])


def test_a_refused_connection_is_tried_again_only_if_that_is_asked_for():
    away = httpx.ConnectError("refused")
    with pytest.raises(ServerError, match=f"no answer from {URL}: refused"):
        answered([away])
    answer, waits, _ = answered([away, refusal(503, "model"), FINE], start_s=1)
    assert (answer, waits) == ("fine", [0.25, 0.25])
    with pytest.raises(ServerError):
        answered([away] * 5, start_s=1)
    with pytest.raises(ServerError, match="slow"):
        answered([httpx.ReadTimeout("slow")], start_s=1)


def test_a_known_picture_is_named_and_sent_where_it_was_forgotten():
    asked = question(known=PICTURE)
    known = [PICTURE.digest]
    _, _, (request,) = answered([FINE], asked, known=known)
    assert "picture=sha256%3Addd" in str(request.url) and request.headers["content-length"] == "0"
    _, _, (_, second) = answered([refusal(404), FINE], asked, known=known)
    assert "picture" not in str(second.url) and b"pixels" in second.read()
    with pytest.raises(ProblemError, match="404"):
        answered([refusal(404), refusal(404)], asked, known=known)


def test_a_picture_that_is_not_here_is_never_sent():
    asked = question(known=NamedBytes("cat", b"", digest="e" * 64))
    with pytest.raises(ProblemError, match="404"):
        answered([refusal(404)], asked)


def test_an_answer_that_is_none_is_an_error():
    def unreadable(body):
        raise ValueError("models: field required")

    with pytest.raises(ServerError, match="gave another answer than this client knows: models: field required"):
        answered([FINE], Question("/models", unreadable))
    with pytest.raises(ServerError, match="gave another answer than this client knows: 'stem'"):
        answered([FINE], Question("/activations", lambda body: {}["stem"]))


def test_a_refusal_may_be_an_answer():
    asked = question(refusals=(503,))
    assert answered([Reply(503, {"content-type": "application/json"}, b"no")], asked)[0] == "no"
    with pytest.raises(ProblemError):
        answered([refusal(503)], asked)


@pytest.mark.parametrize("body", [b"<html>", b'["other"]', b'{"detail"', b"[" * 100_000, b"null"])
def test_an_answer_that_is_no_problem_is_told_by_its_status(body):
    problem = _problem(URL, Reply(502, {}, body))
    assert (problem.status, problem.title, problem.detail, problem.kind) == (502, "Bad Gateway", "Bad Gateway", "")
