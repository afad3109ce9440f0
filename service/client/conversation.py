"""What is sent for a question, and when it is sent again; without input and output, so that both clients share it."""

from __future__ import annotations

import json
import random
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx2 as httpx

from scs.errors import ProblemError, ServerError
from service.api.files import NamedBytes
from service.client.archives import Body
from service.client.questions import Question

Answer = TypeVar("Answer")

_MOST_KNOWN = 10_000  # digests that are remembered
_MOST_SAID = 2000  # letters of a refusal
_FOR_LOST = 0.25  # of the patience: another replica answers soon, and what still fails then is broken
_PAUSE_S = 0.25  # between two looks for a service that is starting
# An idle connection is closed here before the service closes it, after five seconds: a request would be lost between.
LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=4.0)
_SPREAD = 0.25  # so that those who were refused together do not come back together
_GATEWAY = frozenset({500, 502, 503, 504})  # what proxies answer where a replica is gone; Ray Serve says 500
# The connection ended before the answer did. Every question may be asked twice, since none changes anything.
_LOST = httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError


@dataclass(frozen=True)
class Reply:
    """An answer of the service: its status, its headers, and its body."""

    status: int
    headers: Mapping[str, str]
    body: Body


@dataclass(frozen=True)
class Wait:
    """A pause before the question is sent again."""

    seconds: float


Step = httpx.Request | Wait


@dataclass
class _Budget:
    """Seconds that may be waited, in sum."""

    left_s: float

    def take(self, seconds: float) -> bool:
        """Take some where they are left, and return whether they were."""
        if seconds > self.left_s:
            return False
        self.left_s -= seconds
        return True


@dataclass
class _Losses:
    """Answers that were lost with a replica of the service; each is waited for twice as long as the one before."""

    budget: _Budget
    pause_s: float = _PAUSE_S

    def take(self) -> float | None:
        """Return the seconds to wait after one more of them; None where they are not left."""
        pause = self.pause_s
        self.pause_s *= 2
        return pause * random.uniform(1, 1 + _SPREAD) if self.budget.take(pause) else None


@dataclass
class Conversation:
    """The rules by which a question is sent, and sent again.

    Attributes:
        url: of the service.
        headers: of every request.
        timeout_s: seconds without a byte after which a request is given up.
        patience_s: seconds that may be waited for a busy service, in sum, and a quarter of them after replicas of it
            are lost; 0: it is not asked again.
        start_s: seconds in which a refused connection, or a model that cannot be used yet, is asked again.
        known: digests of pictures that the service has been sent.
    """

    url: str
    headers: Mapping[bytes, bytes]
    timeout_s: float
    patience_s: float
    start_s: float
    known: set[str] = field(default_factory=set)

    def of(self, question: Question[Answer]) -> Generator[Step, Reply | None, Answer]:
        """Give requests to send, and waits, and take replies; a request that failed is thrown in. Return the answer.

        Raises:
            ServerError: the service cannot be reached, or answers what is not understood.
            ProblemError: it refused.
        """
        known = question.known
        by_digest = known is not None and (known.digest in self.known or not known.content)
        busy, starting = _Budget(self.patience_s), _Budget(self.start_s)
        lost = _Losses(_Budget(self.patience_s * _FOR_LOST))
        while True:
            try:
                reply = yield self._request(question.by_digest() if by_digest else question)
            except httpx.HTTPError as error:
                pause = self._pause_after(error, lost, starting)
            else:
                assert reply is not None
                if question.is_answered_by(reply.status, reply.headers.get("content-type", "")):
                    self._remember(known)
                    return self._read(question, reply)
                if by_digest and reply.status == 404 and known is not None and known.content:
                    by_digest = False  # it may have forgotten the picture
                    self.known.discard(known.digest or "")
                    continue
                pause = self._pause(reply, busy, lost, starting)
            yield Wait(pause)

    def _pause_after(self, error: httpx.HTTPError, lost: _Losses, starting: _Budget) -> float:
        """Return the seconds after which a question that got no answer is asked again.

        Raises:
            ServerError: it is not.
        """
        if isinstance(error, httpx.ConnectError) and starting.take(_PAUSE_S):
            return _PAUSE_S
        pause = lost.take() if isinstance(error, _LOST) else None
        if pause is None:
            raise self._unreachable(error) from None
        return pause

    def _pause(self, reply: Reply, busy: _Budget, lost: _Losses, starting: _Budget) -> float:
        """Return the seconds after which a question that was refused is asked again.

        Raises:
            ProblemError: it is not.
        """
        problem = _problem(self.url, reply)
        pause = _retry_after(reply)
        if pause is not None and busy.take(pause):
            return pause * random.uniform(1, 1 + _SPREAD)
        if problem.kind == "model" and starting.take(_PAUSE_S):
            return _PAUSE_S
        if pause is None and reply.status in _GATEWAY and not _is_ours(reply):
            pause = lost.take()
            if pause is not None:
                return pause
        raise problem

    def _request(self, question: Question[Any]) -> httpx.Request:
        try:
            return httpx.Request(
                question.method,
                self.url + question.path,
                params={**question.options},
                files=[(field, _part(file)) for field, file in question.files] or None,
                headers={b"Accept": question.accept.encode(), **self.headers},
                extensions={"timeout": httpx.Timeout(self.timeout_s).as_dict()},
            )
        except (httpx.InvalidURL, UnicodeError) as error:
            raise self._unreachable(error) from None

    def _remember(self, picture: NamedBytes | None) -> None:
        if picture is not None and picture.digest is not None:
            if len(self.known) >= _MOST_KNOWN:
                self.known.clear()
            self.known.add(picture.digest)

    def _read(self, question: Question[Answer], reply: Reply) -> Answer:
        try:
            return question.read(reply.body)
        except (ValueError, LookupError) as error:
            raise ServerError(f"{self.url} gave another answer than this client knows: {error}") from None

    def _unreachable(self, error: Exception) -> ServerError:
        return ServerError(f"no answer from {self.url}: {error}")


def headers_for(api_key: str | None) -> dict[bytes, bytes]:
    """Return the headers of every request; as bytes, since a key that is not ASCII is the service's to refuse."""
    return {} if api_key is None else {b"Authorization": b"Bearer " + api_key.encode("utf-8", "surrogateescape")}


def _part(file: NamedBytes) -> tuple[str, bytes, str]:
    return file.name, file.content, "application/x-npy" if file.is_npy else "application/octet-stream"


def _problem(url: str, reply: Reply) -> ProblemError:
    """Return what the service said of its refusal; of an answer that is no problem, its status."""
    phrase = httpx.codes.get_reason_phrase(reply.status)
    try:
        said = json.loads(bytes(reply.body))
        detail, title, kind = said["detail"], said.get("title", phrase), said.get("type", "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        detail, title, kind = phrase, phrase, ""
    return ProblemError(
        url, reply.status, str(title)[:_MOST_SAID], str(detail)[:_MOST_SAID], str(kind)[:100].rpartition("/")[2]
    )


def _is_ours(reply: Reply) -> bool:
    """Return whether the service itself refused, and no proxy in front of it."""
    return reply.headers.get("content-type", "").startswith("application/problem+json")


def _retry_after(reply: Reply) -> float | None:
    """Return the seconds after which a busy service is to be asked again; None where it does not say."""
    text = reply.headers.get("retry-after", "")
    if reply.status != 503 or not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
