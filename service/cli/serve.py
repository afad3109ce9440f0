"""The command ``scs serve``."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from fastapi import FastAPI

from scs.errors import OptionError, ServerError
from service.app import create_app
from service.http.server.protocol import protocol_for
from service.http.server.server import Server
from service.observability.logs import configure_logging, is_json
from service.observability.native_stderr import native_stderr_logged
from service.settings import Settings, injected_variables, read_settings

_LOOK_S = 0.2

_log = logging.getLogger(__name__)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; SCS_HOST unless given.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; SCS_PORT unless given.")] = None,
) -> None:
    """Serve the models over HTTP.

    Example: scs serve --port 8080
    """
    settings = read_settings(host=host, port=port)
    _check_port(settings.host, settings.port)
    with native_stderr_logged() if is_json(settings.log_format) else nullcontext():
        configure_logging(settings.log_level, settings.log_format)
        _run(settings)


def _run(settings: Settings) -> None:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))  # until the server listens to it itself
    for name in injected_variables():
        _log.warning("%s is ignored: it has the address of a Service, as Kubernetes sets it for one of that name", name)
    _await_folder(settings.model_repository, settings.repository_wait_s)
    app = create_app(settings)
    server = Server(server_config(app, settings), app.state.services.stopping, settings.drain_s, settings.grace_s)
    server.run()


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


def _check_port(host: str, port: int) -> None:
    """Check that the port is free, before any model is loaded.

    Raises:
        ServerError: nothing can listen there.
    """
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as listener:
                if os.name == "posix":  # elsewhere this would let two servers listen to one port
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(address)
    except OSError as error:
        raise ServerError(
            f"a free port was needed to serve on; {host}:{port} is not: {(error.strerror or str(error)).lower()}"
        ) from None


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """Return the configuration of uvicorn."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=protocol_for(settings.body_timeout_s),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # `Instrumentation` has a line of its own for each request
    )
