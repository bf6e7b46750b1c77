"""Trials side by side through joblib: processes of this machine (loky), or a dask or ray cluster that is there."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from importlib import import_module
from itertools import islice
from typing import Any

from simulator.core.errors import UsageError
from simulator.explore.laboratory import Laboratory, LabSpec
from simulator.explore.trial import Trial, TrialResult


class Backend(StrEnum):
    """Where trials run."""

    LOKY = "loky"
    DASK = "dask"
    RAY = "ray"


Run = Callable[[Iterable[Trial]], Iterator[TrialResult]]
"""Carries trials out, several at a time; results come as they are ready. What it has not begun when the iterable ends
or the iterator is closed is not begun."""


def default_jobs() -> int:
    """As many trials at a time as this process may use cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def open_pool(spec: LabSpec, backend: Backend, jobs: int, cluster: str | None = None) -> Iterator[Run]:
    """A pool of `jobs` trials at a time. `cluster`: the address of a dask scheduler or ray head; without one these two
    start workers of their own here. Raises UsageError where the backend is not installed or does not answer."""
    from joblib import Parallel, delayed, parallel_config

    with ExitStack() as stack:
        options = _connect(stack, backend, jobs, cluster)
        stack.enter_context(parallel_config(backend=backend.value, n_jobs=jobs, **options))
        task = delayed(_run_in_worker)
        packed = pickle.dumps(spec)

        def run(trials: Iterable[Trial]) -> Iterator[TrialResult]:
            if backend is Backend.RAY:  # its joblib backend gives results as lists only, so that batches have to do
                waiting = iter(trials)
                while batch := list(islice(waiting, jobs)):
                    yield from Parallel(n_jobs=jobs, batch_size=1)(task(packed, trial) for trial in batch)
                return
            parallel = Parallel(n_jobs=jobs, return_as="generator_unordered", pre_dispatch="n_jobs", batch_size=1)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # joblib's, of results that nobody waits for any more
                yield from parallel(task(packed, trial) for trial in trials)

        try:
            yield run
        finally:
            _close_laboratories()


def _connect(stack: ExitStack, backend: Backend, jobs: int, cluster: str | None) -> dict[str, Any]:
    if backend is Backend.LOKY:
        stack.callback(_shut_loky_down)
        return {}
    try:
        return (_connect_dask if backend is Backend.DASK else _connect_ray)(stack, jobs, cluster)
    except ImportError as error:
        raise UsageError(
            f"--backend {backend} needs a package that is not installed",
            str(error),
            f"pip install 'spot-interruption-simulator[{backend}]', or use --backend loky",
        ) from error
    except (OSError, TimeoutError, ConnectionError) as error:
        raise UsageError(
            f"the {backend} cluster {cluster or 'of this machine'} does not answer",
            f"{type(error).__name__}: {error}",
            "give --cluster the address that its scheduler printed, or use --backend loky",
        ) from error


def _connect_dask(stack: ExitStack, jobs: int, cluster: str | None) -> dict[str, Any]:
    distributed = import_module("distributed")
    if cluster is None:
        local = distributed.LocalCluster(
            n_workers=jobs, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
        )
        cluster = stack.enter_context(local)
    stack.enter_context(distributed.Client(cluster))
    return {}


def _connect_ray(stack: ExitStack, jobs: int, cluster: str | None) -> dict[str, Any]:
    ray = import_module("ray")
    ray.init(address=cluster, num_cpus=None if cluster else jobs, include_dashboard=False, log_to_driver=False)
    stack.callback(ray.shutdown)
    import_module("ray.util.joblib").register_ray()
    return {}


def _shut_loky_down() -> None:
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True, kill_workers=True)


_laboratories: dict[bytes, Laboratory] = {}
"""This worker's, one a search: what they start costs seconds."""


def _run_in_worker(packed: bytes, trial: Trial) -> TrialResult:
    laboratory = _laboratories.get(packed)
    if laboratory is None:
        _close_laboratories()
        laboratory = _laboratories[packed] = Laboratory(pickle.loads(packed))
    return laboratory.run(trial).result


def _close_laboratories() -> None:
    while _laboratories:
        _laboratories.popitem()[1].close()
