# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Who does the work: this process, processes of this machine, or Ray. All give futures of concurrent.futures.

An engine is a context manager. It starts nothing that outlives it, not even where its process is killed.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Protocol

from ..inference.options import SmoothingOptions
from ..utils.errors import SmoothNetError
from ..utils.processors import processors
from .storage import measure, reason
from .work import Job, with_weights

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
PACKAGE = Path(__file__).resolve().parents[1]


class Engine(Protocol):
    """What runs functions of work.py with batches.

    Attributes:
        workers: how many run at once.
        crashed: exceptions of futures whose worker died, by no fault of the function.
    """

    workers: int
    crashed: tuple[type[BaseException], ...]

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future: ...


# ---------------------------------------------------------------- this process


class Here:
    """Everything in this process, at once."""

    workers = 1
    crashed: tuple[type[BaseException], ...] = ()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future:
        future: Future = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


# ---------------------------------------------------------------- processes of this machine


class Processes:
    """Worker processes. Each is a pool of its own, so that one that dies takes no work but its own along."""

    crashed: tuple[type[BaseException], ...] = (BrokenProcessPool,)

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pools = [self._pool() for _ in range(workers)]
        self._flying = [0] * workers
        self._counting = threading.Lock()  # futures land in threads of their pools

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future:
        free = min(range(self.workers), key=self._flying.__getitem__)
        try:
            future = self._pools[free].submit(function, *arguments)
        except BrokenProcessPool:
            self._pools[free].shutdown(wait=False)
            self._pools[free] = self._pool()
            future = self._pools[free].submit(function, *arguments)
        with self._counting:
            self._flying[free] += 1

        def landed(_: Future) -> None:
            with self._counting:
                self._flying[free] -= 1

        future.add_done_callback(landed)
        return future

    def close(self) -> None:
        """End the workers, in the middle of a file if need be: it is done again."""
        for pool in self._pools:
            for process in list((pool._processes or {}).values()):
                with suppress(OSError, ValueError):
                    process.terminate()
            pool.shutdown(wait=True, cancel_futures=True)

    @staticmethod
    def _pool() -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin)


def _begin() -> None:
    """What a worker does first: leave Ctrl-C to the driver, and end when the driver does, even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    driver = multiprocessing.parent_process()

    def watch() -> None:
        if driver is not None:
            wait([driver.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def local_engine(jobs: int | None, address: str | None, options: SmoothingOptions) -> Iterator[Engine]:
    """Processes of this machine, as many as it has processors unless `jobs` says; 0: this process."""
    if address is not None:
        raise SmoothNetError("--address goes with --engine ray")
    if jobs == 0:
        yield Here()
        return
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)  # which counts as a worker starts
    try:
        processes = Processes(jobs or processors())
        try:
            yield processes
        finally:
            processes.close()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# ---------------------------------------------------------------- Ray


def _with_these_weights(function: Callable[..., Any], weights: tuple[str, bytes, str] | None, *arguments: Any) -> Any:
    """Run a function of work.py on another machine, with the weights that came along."""
    if weights is None:
        return function(*arguments)
    changed = []
    for argument in arguments:
        if isinstance(argument, SmoothingOptions):
            argument = with_weights(argument, *weights)
        elif isinstance(argument, Job):
            argument = Job(with_weights(argument.options, *weights), argument.out, argument.staging)
        changed.append(argument)
    return function(*changed)


class Ray:
    """Ray tasks. Workers that Ray keeps for them load the network once each; the weights travel once a machine."""

    def __init__(self, ray: Any, workers: int, options: SmoothingOptions) -> None:
        self.workers = workers
        self.crashed: tuple[type[BaseException], ...] = (
            ray.exceptions.WorkerCrashedError,
            ray.exceptions.OutOfMemoryError,
            ray.exceptions.NodeDiedError,
            ray.exceptions.ObjectLostError,
        )
        self._run = ray.remote(num_cpus=1, max_retries=0)(_with_these_weights)
        weights = None
        if options.method == "network" and options.checkpoint:
            file = Path(options.checkpoint)
            weights = (file.name, file.read_bytes(), measure(file)[1])
        self._weights = ray.put(weights)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future:
        return self._run.remote(function, self._weights, *arguments).future()


@contextmanager
def ray_engine(jobs: int | None, address: str | None, options: SmoothingOptions) -> Iterator[Engine]:
    """A Ray cluster that is there, by its address, or one of this machine for this run.

    Args:
        jobs: files that are smoothed at once; None: as many as the cluster has processors.

    Raises:
        SmoothNetError: Ray is not installed, or the cluster cannot be reached.
    """
    try:
        import ray
    except ModuleNotFoundError:
        raise SmoothNetError('--engine ray needs Ray: pip install "smoothnet[ray]"') from None
    package = PACKAGE.parent if (PACKAGE.parent / "pyproject.toml").exists() else None
    search = os.pathsep.join(filter(None, [str(package) if package else "", os.environ.get("PYTHONPATH", "")]))
    if address is None:
        environment: dict[str, Any] = {"env_vars": {**ONE_THREAD, **({"PYTHONPATH": search} if search else {})}}
        where: dict[str, Any] = {"address": "local", "num_cpus": jobs or processors(), "include_dashboard": False}
    else:  # the machines get this very version
        environment = {"env_vars": ONE_THREAD, "py_modules": [str(PACKAGE)]}
        where = {"address": address}
    try:
        ray.init(runtime_env=environment, log_to_driver=False, logging_level=logging.ERROR, **where)
    except Exception as error:  # of many kinds
        raise SmoothNetError(f"Ray cannot be used{f' at {address}' if address else ''}: {reason(error)}") from error
    try:
        yield Ray(ray, jobs or max(1, int(ray.cluster_resources().get("CPU", 1))), options)
    finally:
        ray.shutdown()


ENGINES: dict[str, Callable[[int | None, str | None, SmoothingOptions], Any]] = {
    "local": local_engine,
    "ray": ray_engine,
}
