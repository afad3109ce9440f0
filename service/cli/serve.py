"""The command ``scs serve``."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn
from fastapi import FastAPI

from scs.cores import usable_cores, use_threads
from scs.errors import OptionError
from service.app import create_app
from service.cluster.member import Member
from service.http.server.early_answers import EarlyAnswers
from service.http.server.listeners import listeners, reserved_port, shared_listeners
from service.http.server.member_server import MemberServer
from service.http.server.protocol import protocol_for
from service.http.server.server import Server, address_of
from service.observability.logs import configure_logging, is_json
from service.observability.native_stderr import native_stderr_logged
from service.services import lend_workers, pool_sizes
from service.settings import Settings, injected_variables, read_settings
from service.supervisor.supervisor import Supervisor
from service.workers.nursery import NURSERY, end_with_parent

_LOOK_S = 0.2

_log = logging.getLogger(__name__)


def serve(
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="A network to import and serve at once, as scs import takes it."),
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="Names of its classes.", dir_okay=False)] = None,
    preprocess: Annotated[str | None, typer.Option(help="How its pictures are prepared, as in scs import.")] = None,
    size: Annotated[str | None, typer.Option(help="Width and height of its pictures, as in scs import.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; SCS_HOST unless given.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; SCS_PORT unless given.")] = None,
    workers: Annotated[
        str | None, typer.Option(help="Processes that answer, or auto: one a core; SCS_WORKERS unless given.")
    ] = None,
    opens: Annotated[bool, typer.Option("--open", help="Open the explorer, the service's page, in a browser.")] = False,
) -> None:
    """Serve the models over HTTP, or one network that is imported first.

    Example: scs serve --port 8080 --open
    """
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))  # until the server listens to it itself
    if source is None and (labels or preprocess or size):
        raise OptionError("--labels, --preprocess and --size are of a network to import; none was named")
    if source is None:
        _serve(read_settings(host=host, port=port, workers=workers), opens)
        return
    with _imported(source, labels, preprocess, size) as named:
        _serve(read_settings(host=host, port=port, workers=workers, **named), opens)


@contextmanager
def _imported(source: str, labels: Path | None, preprocess: str | None, size: str | None) -> Iterator[dict[str, Any]]:
    """Import a network to a repository that is gone at the end, and give the settings that serve it."""
    from models.imports.labels import read_labels
    from models.imports.wish import Wish
    from models.imports.write import write
    from service.cli.import_ import find_out, parse_size

    named = read_labels(labels) if labels else None
    wish = Wish(named, labels.name if labels else "", preprocess, parse_size(size))
    imported = find_out(source, wish, read_settings())
    with tempfile.TemporaryDirectory(prefix="scs-") as folder:
        write(imported, Path(folder))
        for finding in imported.report.findings:
            print(f"{finding.what}: {finding.found}", file=sys.stderr)
        yield {"model_repository": Path(folder), "default_model": imported.card.name}


def _serve(settings: Settings, opens: bool) -> None:
    stderr = native_stderr_logged() if is_json(settings.log_format) else nullcontext()
    if settings.workers > 1:
        sys.exit(_serve_by_workers(settings, opens))
    with listeners(settings) as sockets, stderr:  # bound before any model is loaded
        configure_logging(settings.log_level, settings.log_format)
        if opens:
            # The port takes connections already, and answers once the service has started. Some browsers block.
            threading.Thread(target=webbrowser.open, args=[page_address(sockets)], daemon=True).start()
        _run(settings, sockets)
        NURSERY.close()  # and with it what is still being tried or done there


def _serve_by_workers(settings: Settings, opens: bool) -> int:
    """Have several processes serve, and supervise them until they are stopped; return the exit status.

    Raises:
        OptionError: the system is none on which processes can share a port and be supervised.
    """
    if sys.platform != "linux":
        raise OptionError(f"SCS_WORKERS may be more than 1 on Linux alone; {settings.workers} came")
    with ExitStack() as context:
        groups = context.enter_context(shared_listeners(settings, settings.workers))
        if settings.grpc_port is not None:
            port = context.enter_context(reserved_port(settings.host, settings.grpc_port))
            settings = settings.model_copy(update={"grpc_port": port})
        folder = Path(context.enter_context(tempfile.TemporaryDirectory(prefix="scs-workers-")))
        configure_logging(settings.log_level, settings.log_format)
        _prepare(settings)
        if opens:
            subprocess.Popen([sys.executable, "-m", "webbrowser", page_address(groups[0])])
        for listener in groups[0]:
            _log.info("%d workers serve on %s (Press CTRL+C to quit)", settings.workers, address_of(listener))
        work = partial(_be_worker, settings), partial(_be_lender, settings)
        return Supervisor(settings, groups, *work, pool_sizes(settings), folder).run()


def _be_worker(settings: Settings, member: Member) -> None:
    """Serve in one of several processes, until the supervisor says stop."""
    cores = max(1, usable_cores() // settings.workers)
    use_threads(cores)  # of this process alone
    with native_stderr_logged() if is_json(settings.log_format) else nullcontext():
        configure_logging(settings.log_level, settings.log_format)
        app = create_app(settings, loads_in_background=not member.is_replacement, member=member)
        stopping = app.state.services.stopping
        server = MemberServer(server_config(app, settings), stopping, settings.drain_s, settings.grace_s, member)
        server.run([])


def _be_lender(settings: Settings, listener: socket.socket) -> None:
    """Lend workers for heavy work to the processes that serve, until this one is killed."""
    end_with_parent(os.getppid())
    with native_stderr_logged() if is_json(settings.log_format) else nullcontext():
        configure_logging(settings.log_level, settings.log_format)
        asyncio.run(lend_workers(listener, settings))


def page_address(sockets: Sequence[socket.socket]) -> str:
    """Return the address of the service's page for a browser on this machine.

    Raises:
        OptionError: the service listens on a Unix socket, which no browser asks.
    """
    ports = [each for each in sockets if each.family in (socket.AF_INET, socket.AF_INET6)]
    if not ports:
        raise OptionError("--open needs a port; SCS_UDS has the service listen on a Unix socket")
    host, port = ports[0].getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _run(settings: Settings, sockets: list[socket.socket]) -> None:
    _prepare(settings)
    app = create_app(settings, loads_in_background=True)
    server = Server(server_config(app, settings), app.state.services.stopping, settings.drain_s, settings.grace_s)
    server.run(sockets)


def _prepare(settings: Settings) -> None:
    for name in injected_variables():
        _log.warning("%s is ignored: it has the address of a Service, as Kubernetes sets it for one of that name", name)
    _await_folder(settings.model_repository, settings.repository_wait_s)


def _await_folder(folder: Path, seconds: float) -> None:
    """Wait until a folder of models is there, as one that another container brings may be late.

    Raises:
        OptionError: it is not there in time.
    """
    deadline = time.monotonic() + seconds
    if seconds and not folder.is_dir():
        _log.info("waiting up to %g seconds for the folder of models", seconds)
    while not folder.is_dir():
        if time.monotonic() >= deadline:
            raise OptionError(f"SCS_MODEL_REPOSITORY needs to be a folder of models; '{folder}' is none")
        time.sleep(_LOOK_S)


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """Return the configuration of uvicorn."""
    services = app.state.services
    early_answers = EarlyAnswers(services.metrics, settings.cors_origins, services.shedder)
    return uvicorn.Config(
        app,
        http=protocol_for(settings.body_timeout_s, settings.send_timeout_s, early_answers),
        timeout_keep_alive=settings.keep_alive_s,  # type: ignore[arg-type]  # of which uvicorn makes a timer
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # `Instrumentation` has a line of its own for each request
    )
