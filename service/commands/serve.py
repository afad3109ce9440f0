"""``scs serve``."""

from __future__ import annotations

import logging
import signal
import sys
from typing import Annotated

import typer
import uvicorn

from service.app import create_app
from service.http_protocol import protocol_for
from service.settings import read_settings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; SCS_HOST unless given.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; SCS_PORT unless given.")] = None,
) -> None:
    """Serve the models over HTTP.

    Example: scs serve --port 8080
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    settings = read_settings(host=host, port=port)
    # The server stops gracefully on SIGTERM and then raises it again, for whoever was there before: an ordinary stop.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        http=protocol_for(settings.body_timeout_s),
        ws="none",
        log_config=None,
    )
