"""A classifier of pictures in a process that is no service."""

from __future__ import annotations

import asyncio
from typing import Any

from models.runtime.load import usable_cores
from service.api.files import Upload
from service.api.predict import PredictOptions
from service.inference.batcher import Batcher
from service.observability.metrics import Metrics
from service.repository.loader import LoadedModel
from service.settings import Settings
from service.tasks.predict import Predictor
from service.workers.thread_pool import ThreadPool


class LocalPredictor:
    """A classifier that answers as the service does, in its batches and without a deadline, one request at a time.

    Args:
        settings: limits.
    """

    def __init__(self, settings: Settings) -> None:
        metrics = Metrics()
        self._decoders = ThreadPool("decodings", usable_cores(), settings.max_waiting_jobs, metrics.pool("decoding"))
        self._predictor = Predictor(settings, Batcher(settings, metrics), self._decoders)
        self._runner = asyncio.Runner()

    def predict(self, model: LoadedModel, upload: Upload, options: PredictOptions) -> dict[str, Any]:
        """Classify pictures; see :meth:`service.tasks.predict.Predictor.predict`."""
        # `Runner.run` would set a signal handler each time, and Python writes out all that the one before held.
        return self._runner.get_loop().run_until_complete(self._predictor.predict(model, upload, options))

    def close(self) -> None:
        """End its threads."""
        self._runner.close()
        self._decoders.close()
