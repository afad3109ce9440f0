"""A run on the machines of a Ray cluster, by Ray Data."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from typing import Any

from scs.cores import THREADS_VARIABLE
from scs.errors import OptionError, RunError
from service.map.packages import needed_for
from service.map.run import Run
from service.map.task import Task
from service.map.work import do_part

_LEAST_BLOCKS = 200  # of the parts of a long run, so that progress shows


def map_on_ray(task: Task, run: Run, address: str, done: Callable[[int], None]) -> None:
    """Do the parts of a run that are not done, each in an actor of one core.

    Every machine needs this package, and the inputs, the models and the run's folder under the same paths. A part whose
    process dies is done again as Ray does, not picture by picture.

    Args:
        task: what is done.
        run: with which pictures.
        address: of the cluster; ``auto`` is the one that this machine is of, ``local`` one that is started here.
        done: told how many pictures are done.

    Raises:
        MissingPackageError: Ray is not installed.
        OptionError: there is no cluster at the address.
        RunError: a part could not be done or written.
    """
    with needed_for("--ray", "ray"):
        import ray
        import ray.data

    pending = run.pending()
    finished = run.pictures - sum(len(run.numbers(part)) for part in pending)
    done(finished)
    if not pending:
        return
    _connect(address)
    try:
        cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
        parts: Any = ray.data.from_items(pending, override_num_blocks=min(len(pending), max(_LEAST_BLOCKS, 4 * cores)))
        answers = parts.map_batches(
            _Worker,
            fn_constructor_args=(pickle.dumps(task), run),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=cores),
            num_cpus=1,
        )
        for row in answers.iter_rows():
            finished += row["pictures"]
            done(finished)
    except ray.exceptions.RayError as error:
        raise RunError(f"Ray could not go on: {_last_line(error)}; what is done stays") from None
    finally:
        ray.shutdown()


class _Worker:
    """Does parts in an actor; see :func:`service.map.work.do_part`."""

    def __init__(self, pickled: bytes, run: Run) -> None:
        self._pickled, self._run = pickled, run

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[int]]:
        """Do the parts of a batch; return how many pictures they have."""
        parts = [int(part) for part in batch["item"]]
        for part in parts:
            do_part(self._pickled, self._run, part)
        return {"pictures": [len(self._run.numbers(part)) for part in parts]}


def _connect(address: str) -> None:
    import ray

    variables = {THREADS_VARIABLE: "1", "OMP_NUM_THREADS": "1"}
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, runtime_env={"env_vars": variables})
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise OptionError(f"there is no Ray cluster at '{address}': {str(error).partition(chr(10))[0]}") from None
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _last_line(error: Exception) -> str:
    return str(error).strip().rpartition("\n")[2]
