"""Statistics of a model since it was loaded, in Triton's form."""

from __future__ import annotations

from typing import Any

from models.cards.card import ModelCard
from service.observability.meter import Duration, ModelStatistics

_NONE = Duration()


def model_statistics(card: ModelCard, done: ModelStatistics) -> dict[str, Any]:
    """Return the counts and durations, in nanoseconds, of a version of a model.

    Triton's tools want the three parts of the computing to have one count; so it is that of the runs, also for reading
    pictures, which a request does once and a refused one does too. Outputs are not computed, and nothing is cached.
    """
    runs = done.inference.count
    return {
        "name": card.name,
        "version": str(card.version),
        "last_inference": done.last_inference_ms,
        "inference_count": done.inference_count,
        "execution_count": done.execution_count,
        "inference_stats": {
            "success": _written(Duration(done.success.count, done.success.ns + done.decode.ns)),
            "fail": _written(done.fail),
            "queue": _written(done.queue),
            "compute_input": _written(Duration(runs, done.decode.ns)),
            "compute_infer": _written(done.inference),
            "compute_output": _written(Duration(runs)),
            "cache_hit": _written(_NONE),
            "cache_miss": _written(_NONE),
        },
        "response_stats": {},
        "batch_stats": [
            {
                "batch_size": rows,
                "compute_input": _written(Duration(duration.count)),
                "compute_infer": _written(duration),
                "compute_output": _written(Duration(duration.count)),
            }
            for rows, duration in sorted(done.batches.items())
        ],
        "memory_usage": [],
    }


def _written(duration: Duration) -> dict[str, int]:
    return {"count": duration.count, "ns": duration.ns}
