# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Several files at the same time, each in a process of its own that loads the network once.

The processes do not outlive this one, however it ends: it ends them when it is interrupted, and they end themselves
when it is gone.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from ..utils.errors import SmoothNetError
from .methods import Progress, Smoothing
from .options import SmoothingOptions

Work = Callable[[Any, Smoothing], Any]  # of a module, so that another process finds it by name


@dataclass
class _Worker:
    process: BaseProcess
    talk: Connection
    task: int | None = None  # which it is at


def in_processes(
    work: Work, tasks: Sequence[Any], options: SmoothingOptions, jobs: int, progress: Progress | None = None
) -> list[Any]:
    """[work(task, smoothing) for task in tasks], by several processes.

    Args:
        work: a function of a module.
        tasks: what it is called with; they and what it gives must go from process to process.
        options: of the smoothing, which each process makes for itself.
        jobs: processes at most.
        progress: told of the frames of all tasks that were begun.

    Raises:
        What the first of the tasks, in their order, that fails raises; SmoothNetError where its process was killed.
    """
    results: dict[int, Any] = {}
    failed: dict[int, BaseException] = {}
    frames: dict[int, tuple[int, int]] = {}
    to_come = iter(range(len(tasks)))

    def hand_out(worker: _Worker) -> None:
        """The next task, if there is one and none has failed before."""
        worker.task = None if failed else next(to_come, None)
        if worker.task is not None:
            with suppress(OSError):  # it ended: its end of the line says so
                worker.talk.send(tasks[worker.task])

    with _workers(work, options, min(jobs, len(tasks))) as workers:
        for worker in workers:
            hand_out(worker)
        # Tasks before one that failed are finished: they may fail as well, and the first is what is reported.
        while busy := [w for w in workers if w.task is not None and w.task < min(failed, default=len(tasks))]:
            lines = wait([worker.talk for worker in busy])
            for worker in (worker for worker in busy if worker.talk in lines):
                assert worker.task is not None
                kind, value = _heard(worker)
                if kind == "frames":
                    frames[worker.task] = value
                    if progress is not None:
                        progress(sum(done for done, _ in frames.values()), sum(total for _, total in frames.values()))
                    continue
                (results if kind == "result" else failed)[worker.task] = value
                hand_out(worker)
    if failed:
        raise failed[min(failed)]
    return [results[index] for index in range(len(tasks))]


def _heard(worker: _Worker) -> tuple[str, Any]:
    try:
        return worker.talk.recv()
    except (EOFError, OSError):
        worker.process.join()
        return "error", SmoothNetError(
            f"a process of --jobs was ended from outside (status {worker.process.exitcode}), perhaps for want of "
            "memory; try fewer jobs"
        )


@contextmanager
def _workers(work: Work, options: SmoothingOptions, jobs: int) -> Iterator[list[_Worker]]:
    """Processes that wait for tasks; ended in the end."""
    context = multiprocessing.get_context("spawn")
    workers: list[_Worker] = []
    try:
        for _ in range(jobs):
            here, there = context.Pipe()
            process: BaseProcess = context.Process(target=_serve, args=(there, work, options), daemon=True)
            workers.append(_Worker(process, here))
            with _for_us_alone():
                process.start()
            there.close()
        yield workers
    finally:
        started = [worker.process for worker in workers if worker.process.pid is not None]
        for process in started:
            process.terminate()
        for process in started:
            process.join()


@contextmanager
def _for_us_alone() -> Iterator[None]:
    """Processes started in the block do not hear Ctrl-C, which a terminal sends to all: this one will end them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(talk: Connection, work: Work, options: SmoothingOptions) -> None:
    """The life of a process: tasks from the line, until it is ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    smoothing: Smoothing | None = None
    while True:
        try:
            task = talk.recv()
        except EOFError:
            return
        try:
            smoothing = smoothing or Smoothing(options, lambda done, total: talk.send(("frames", (done, total))))
            answer = "result", work(task, smoothing)
        except Exception as error:
            answer = "error", error
        try:
            talk.send(answer)
        except OSError:
            return
        except Exception:  # an error that cannot be sent
            talk.send(("error", RuntimeError(f"{type(answer[1]).__name__}: {answer[1]}")))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
