"""The supervisor: it forks the workers, restarts those that end, and stops them gracefully."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import os
import signal
import socket
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from prometheus_client.multiprocess import mark_process_dead

from service.cluster.board import Board
from service.cluster.member import Member
from service.cluster.messages import Answer, Ask, Connection, Do, Leave, Listen, PortClosed, Ready, Stop
from service.http.server.accept_queue import accept_the_last
from service.settings import Settings
from service.supervisor.journal import MODEL_CHANGES, Journal
from service.supervisor.worker import Worker
from service.workers.channel import OpenFile
from service.workers.job import Outcome
from service.workers.lending import LentPools, PoolSize, readable

_log = logging.getLogger(__name__)

_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.05, 30.0  # before a restart
_LENDER_DELAY_S = 0.2
_BORROWERS = 1024  # that wait to be heard
_MARGIN_S = 4.0  # for workers to end by themselves, beyond the seconds that they have

RunWorker = Callable[[Member], None]
RunLender = Callable[[socket.socket], None]


class Supervisor:
    """The parent of the worker processes, which answers no request itself.

    It holds the sockets that the workers listen on, one for each. What waits in the accept queue of a worker that ends
    is accepted by another, and by the one that replaces it.

    Args:
        settings: of the service.
        listeners: for each worker, the sockets that it listens on.
        run_worker: what a worker does in its process, until it stops.
        run_lender: what lends workers for heavy work to these processes does in its own, given where it listens.
        sizes: of the pools of these workers, by name.
        folder: a private one that all workers share.
    """

    def __init__(
        self,
        settings: Settings,
        listeners: Sequence[Sequence[socket.socket]],
        run_worker: RunWorker,
        run_lender: RunLender,
        sizes: Mapping[str, PoolSize],
        folder: Path,
    ) -> None:
        self._settings, self._listeners, self._folder = settings, listeners, folder
        self._run_worker, self._run_lender = run_worker, run_lender
        self._lent = LentPools(folder / "workers.sock", sizes)
        self._lending = socket.socket(socket.AF_UNIX)  # kept here, so that nobody is refused while a lender is replaced
        self._lending.bind(str(self._lent.address))
        self._lending.listen(_BORROWERS)
        self._board = Board(len(listeners))
        self._journal = Journal()
        self._workers: dict[int, Worker] = {}
        self._accepted_by: dict[int, Worker] = {}  # who accepts the connections of a worker's sockets
        self._numbers = itertools.count()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: set[asyncio.Task[object]] = set()
        self._stop_begun = asyncio.Event()
        self._exit_code = 0

    def run(self) -> int:
        """Supervise until a signal says stop, or until a worker cannot be started at all; return the exit status."""
        gc.collect()
        gc.freeze()  # what is frozen is not touched by the collector, and stays shared between processes
        return asyncio.run(self._supervise())

    async def _supervise(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._handle_stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._handle_reload)
        loop.add_signal_handler(signal.SIGUSR2, self._handle_replace)
        keepers = [loop.create_task(self._keep(index)) for index in range(len(self._listeners))]
        lender = loop.create_task(self._keep_lender())
        await asyncio.gather(*keepers)
        lender.cancel()
        _log.info("all workers have ended")
        return self._exit_code

    async def _keep(self, index: int) -> None:
        """Have one worker run, and replace it when it ends."""
        failures = 0  # in a row, each before it could serve; of others a restart takes long enough
        while not self._stop_begun.is_set():
            worker = self._fork(index, is_replacement=bool(self._accepted_by))
            code = await worker.ended
            self._board.end(index)
            mark_process_dead(index, str(self._folder))  # type: ignore[no-untyped-call]  # its gauges
            if self._stop_begun.is_set():
                return
            if not self._accepted_by:
                _log.error("a worker ended before any was ready; the service stops")
                self._exit_code = 1
                self._begin_stop()
                return
            self._pass_on(worker)
            if code == 0 and worker.has_served:
                continue  # it was told to stop
            failures = 0 if worker.has_served else failures + 1
            delay = min(_FIRST_DELAY_S * 2**failures, _LONGEST_DELAY_S)
            how = f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"
            _log.error("worker %d (process %d) %s; it is restarted in %g seconds", index, worker.pid, how, delay)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop_begun.wait(), delay)

    def _fork(self, index: int, is_replacement: bool) -> Worker:
        ours, theirs = socket.socketpair()
        changes = self._journal.changes()
        pid = os.fork()
        if pid == 0:
            member = Member(index, self._board, theirs, self._folder, self._lent, is_replacement, changes)
            self._be_child(partial(self._run_worker, member), ours, self._lending)
        theirs.close()
        self._board.begin(index, pid)
        worker = self._workers[index] = Worker(index, pid, ours, self._heard)
        return worker

    async def _keep_lender(self) -> None:
        """Have one lender of workers run, and replace it when it ends."""
        while True:
            pid = os.fork()
            if pid == 0:
                self._be_child(partial(self._run_lender, self._lending))
            pidfd = os.pidfd_open(pid)
            try:
                await readable(pidfd)
                _log.error("what lends worker processes (process %d) ended; it is restarted", pid)
            finally:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                os.waitpid(pid, 0)
                os.close(pidfd)
            await asyncio.sleep(_LENDER_DELAY_S)

    def _be_child(self, work: Callable[[], None], *not_mine: socket.socket) -> None:
        """Be a process that was just forked; never returns.

        Args:
            work: what it does.
            not_mine: sockets that it closes, beside those of the workers.
        """
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
                signal.signal(number, signal.SIG_IGN)  # these may go to all processes at once
            for each in not_mine:
                each.close()
            for worker in self._workers.values():
                if not worker.ended.done():
                    for descriptor in worker.descriptors():
                        os.close(descriptor)
            for listener in {each for listeners in self._listeners for each in listeners}:
                listener.close()
            work()
            status = 0
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
        except BaseException:
            _log.exception("process %d failed", os.getpid())
        finally:
            sys.stderr.flush()
            os._exit(status)

    def _heard(self, worker: Worker, message: object) -> None:
        match message:
            case Ready():
                if self._stop_begun.is_set():
                    worker.line.say(Stop(closes_port=True))
                else:
                    self._listen(worker, worker.index)
            case Ask(number, call, args):
                self._do_later(self._answer(worker, number, call, args))

    def _listen(self, worker: Worker, index: int) -> None:
        """Have a worker accept the connections of its own sockets, or of another's."""
        for listener in self._listeners[index]:
            worker.line.say(Listen(index, OpenFile(listener.fileno())))
        before = self._accepted_by.get(index)
        if before is not None and before is not worker:
            before.line.say(Leave(index))
        self._accepted_by[index] = worker

    def _pass_on(self, worker: Worker) -> None:
        """Have others accept what a worker that goes has accepted."""
        others = [each for each in self._workers.values() if each is not worker and each.serves]
        for index, by in list(self._accepted_by.items()):
            if by is worker and others:
                self._listen(others[index % len(others)], index)

    async def _answer(self, worker: Worker, number: int, call: str, args: tuple[object, ...]) -> None:
        worker.line.say(Answer(number, await self._have_done(call, args, first=worker)))

    async def _have_done(self, call: str, args: tuple[object, ...] = (), first: Worker | None = None) -> list[Outcome]:
        """Have every worker do something, one after the other, so that most of them serve meanwhile."""
        lock = self._locks[str(args[0])] if call in MODEL_CHANGES else self._locks[""]
        outcomes: list[Outcome] = []
        async with lock:
            undo = self._journal.note(call, args)
            for index in sorted(self._workers, key=lambda each: (self._workers[each] is not first, each)):
                worker, number = self._workers[index], next(self._numbers)
                result = worker.result_of(number)
                worker.line.say(Do(number, call, args))
                if (outcome := await result) is not None:
                    outcomes.append(outcome)
            if not outcomes or outcomes[0].error is not None:
                undo()
        return outcomes

    def _handle_reload(self) -> None:
        _log.info("SIGHUP: the repository is read again")
        self._do_later(self._have_done("reload"))

    def _handle_replace(self) -> None:
        _log.info("SIGUSR2: the workers are replaced, one after the other")
        self._do_later(self._replace_all())

    async def _replace_all(self) -> None:
        async with self._locks["replacing"]:
            for index in range(len(self._listeners)):
                worker = self._workers[index]
                self._pass_on(worker)
                worker.line.say(Stop(closes_port=False))
                await worker.ended
                while self._workers[index] is worker and not self._stop_begun.is_set():
                    await asyncio.sleep(0)
                await self._workers[index].is_ready.wait()

    def _handle_stop(self, number: int) -> None:
        if self._stop_begun.is_set():
            for worker in self._workers.values():
                worker.kill()
            os._exit(128 + number)
        self._begin_stop()

    def _begin_stop(self) -> None:
        self._stop_begun.set()
        self._do_later(self._stop())

    async def _stop(self) -> None:
        """Have the workers drain, close the port when none listens any more, and wait for their last answers."""
        workers = [each for each in self._workers.values() if not each.ended.done()]
        _log.info("stopping: %d workers", len(workers))
        for worker in workers:
            if worker.has_served:
                worker.line.say(Stop(closes_port=True))
            else:
                worker.kill()  # it has accepted nothing
        left_s = self._settings.drain_s + self._settings.grace_s + _MARGIN_S
        try:
            async with asyncio.timeout(left_s):
                await asyncio.gather(*(worker.is_paused.wait() for worker in workers))
                self._close_port([worker for worker in workers if not worker.ended.done()])
                await asyncio.gather(*(asyncio.shield(worker.ended) for worker in workers))
        except TimeoutError:
            for worker in workers:
                worker.kill()

    def _close_port(self, workers: Sequence[Worker]) -> None:
        """Close the port, and hand what waited in its accept queues over to the workers."""
        listeners = {each for listeners in self._listeners for each in listeners}
        by_address: defaultdict[object, list[socket.socket]] = defaultdict(list)
        for listener in listeners:
            by_address[listener.getsockname()].append(listener)
        takers = itertools.cycle(workers) if workers else None
        for group in by_address.values():
            for connection in accept_the_last(group):
                with connection:
                    if takers is not None:
                        next(takers).line.say(Connection(OpenFile(connection.fileno())))
        for worker in workers:
            worker.line.say(PortClosed())

    def _do_later(self, work: object) -> None:
        task: asyncio.Task[object] = asyncio.get_running_loop().create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
