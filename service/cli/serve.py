"""The command ``scs serve``."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer
import uvicorn
from fastapi import FastAPI

from scs.errors import OptionError
from service.app import create_app
from service.http.server.early_answers import EarlyAnswers
from service.http.server.listeners import listeners
from service.http.server.protocol import protocol_for
from service.http.server.server import Server
from service.observability.logs import configure_logging
from service.settings import Settings, read_settings
from service.workers.nursery import NURSERY


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; SCS_HOST unless given.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; SCS_PORT unless given.")] = None,
) -> None:
    """Serve the models over HTTP.

    Example: scs serve --port 8080
    """
    settings = read_settings(host=host, port=port)
    if not settings.model_repository.is_dir():
        raise OptionError(f"SCS_MODEL_REPOSITORY needs to be a folder of models; '{settings.model_repository}' is none")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))  # until the server listens to it itself
    with listeners(settings) as sockets:  # bound before any model is loaded
        configure_logging(settings.log_level, settings.log_format)
        app = create_app(settings, loads_in_background=True)
        server = Server(server_config(app, settings), app.state.services.stopping, settings.drain_s, settings.grace_s)
        server.run(sockets)
    NURSERY.close()  # and with it what is still being tried or done there


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """Return the configuration of uvicorn."""
    early_answers = EarlyAnswers(app.state.services.metrics, settings.cors_origins)
    return uvicorn.Config(
        app,
        http=protocol_for(settings.body_timeout_s, settings.send_timeout_s, early_answers),
        timeout_keep_alive=settings.keep_alive_s,  # type: ignore[arg-type]  # of which uvicorn makes a timer
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # `Instrumentation` has a line of its own for each request
    )
