# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""A run over a corpus: list the inputs, hand those that are to do to an engine, write down what became of each.

The order that makes a crash harmless: a worker writes the output to a temporary place and to the disk; the driver
commits its row with the output's size and checksum; the output is renamed into place. Killed before the commit, the
file is to do; killed after it, the output is not there with the recorded size and the file is to do as well.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import queue
import secrets
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import __version__
from ..inference.options import SmoothingOptions
from ..utils.errors import SmoothNetError
from ..utils.files import exchange, printable
from ..utils.signals import ending_cleanly, undisturbed
from ..weights import find_weights
from .engines import ENGINES, Engine
from .inputs import Item, find_inputs, workplace
from .manifest import Manifest, open_manifest
from .report import write_report
from .storage import is_url, join, local_name, measure
from .work import Job, Result, prepare, smooth_batch

STAGING = ".smoothnet"  # within the output
BATCH_FRAMES = 6000  # a batch is a second's work or so, and has no more than
BATCH_FILES = 64
FLYING = 2  # batches a worker: one that it does, one that waits for it
UNREACHABLE = 100  # inputs in a row that cannot be read: a mount is gone
TRIES = 2  # of a file alone in a worker that dies of it
USUAL_FPS = 30.0  # for hours of motion, where a file does not say


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        files, size: to do in this run, and bytes of them (those whose size is known).
        done, failed, unreached: files of this run so far.
        bytes: of those.
        skipped: files that were done before.
    """

    files: int = 0
    size: int = 0
    done: int = 0
    failed: int = 0
    unreached: int = 0
    bytes: int = 0
    frames: int = 0
    hours: float = 0.0
    skipped: int = 0
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None

    @property
    def seen(self) -> int:
        return self.done + self.failed + self.unreached

    def text(self) -> str:
        """One line for people."""
        seconds = max((self.ended or time.monotonic()) - self.began, 1e-3)
        share = self.bytes / self.size if self.size else self.seen / max(self.files, 1)
        left = seconds / share - seconds if share > 0 else None
        parts = [
            f"{self.seen}/{self.files} files",
            f"{self.frames} frames",
            f"{self.hours:.2f} h of motion",
            f"{self.seen / seconds:.1f} files/s",
            f"{self.frames / seconds:.0f} frames/s",
            f"ETA {_clock(left)}",
            f"{self.failed} failed",
        ]
        if self.unreached:
            parts.append(f"{self.unreached} not reached")
        return ", ".join(parts)


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    minutes, seconds = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


@dataclass
class Summary:
    """What a run ended with.

    Attributes:
        progress: of this run alone.
        done, failed, todo: files of the inputs, from all runs.
        bad: files of those done with sequences that stay as they were.
        manifest, report: the files written.
    """

    progress: Progress
    done: int
    failed: int
    todo: int
    bad: int
    manifest: Path
    report: Path | None

    @property
    def complete(self) -> bool:
        """Whether every file of the inputs was smoothed, and all of it."""
        return not (self.failed or self.todo or self.bad)


def run_corpus(
    inputs: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    options: SmoothingOptions | None = None,
    *,
    manifest: str | os.PathLike | None = None,
    engine: str = "local",
    address: str | None = None,
    jobs: int | None = None,
    retry: bool = False,
    force: bool = False,
    report: bool = True,
    progress: Callable[[Progress], None] | None = None,
) -> Summary:
    """Smooth a corpus into a tree that mirrors it; what is done already, by the manifest, is left as it is.

    Args:
        inputs: see inputs.find_inputs.
        out: folder or URL.
        options: as for `smooth`.
        manifest: SQLite file; None: OUT.corpus/manifest.sqlite. The report goes to its folder.
        engine, address, jobs: see engines.py; jobs 0 works in this process.
        retry: do failed files again.
        force: replace files in `out` that no run of this manifest has written (never an input).
        report: whether to write report.html and report.json.
        progress: called now and then.

    Raises:
        SmoothNetError: an input is not there, the options do not go together, the output or the manifest cannot be
            written (what was done by then stays done), an engine is not there.
    """
    names = [os.fspath(name) for name in inputs]
    folder = local_name(os.fspath(out))
    folder = folder if is_url(folder) else os.path.abspath(folder)
    if engine not in ENGINES:
        raise SmoothNetError(f"there is no --engine {engine!r}: choose from {', '.join(ENGINES)}")
    if not names:
        raise SmoothNetError("name at least one input")
    if manifest is None and is_url(folder):
        raise SmoothNetError(f"name a file of this machine for the manifest with --manifest: {folder} is elsewhere")
    for name in names:
        if os.path.realpath(local_name(name)) == os.path.realpath(folder) and not is_url(folder):
            raise SmoothNetError(f"{name} is an input; name another output")
    if not os.fspath(out):
        raise SmoothNetError("the output has no name; name a folder")
    if not is_url(folder) and os.path.lexists(folder) and not os.path.isdir(folder):
        raise SmoothNetError(f"{os.fspath(out)} is no folder; name another output")
    options, settings, facts = _settings(options or SmoothingOptions())
    place = Path(manifest) if manifest is not None else Path(workplace(folder)) / "manifest.sqlite"
    if not is_url(folder) and not place.exists():
        _refuse_inputs(folder, names)
    book = open_manifest(place)
    try:
        book.begin(settings, **facts, engine=engine, out=folder)
        total = book.take(find_inputs(names, folder), retry)
        lost = book.lost(folder)
        if len(lost) == book.counts().get("done", (0, 0))[0]:
            _refuse_gone(folder, len(lost))
        book.reopen(lost)
        waiting, size = book.counts().get("todo", (0, 0))
        state = Progress(waiting, size, skipped=total - waiting)
        with ending_cleanly():
            if waiting:
                how = (jobs, address)
                _work(book, folder, options, ENGINES[engine], how, force, state, progress or (lambda _: None))
                state.ended = time.monotonic()
            written = None
            if report:
                written = write_report(book, options, ENGINES["local"], 0 if jobs == 0 else 1, bool(waiting))
        counts = {name: files for name, (files, _) in book.counts().items()}
        ((bad,),) = book.select("count(*)", "AND state = 'done' AND bad > 0")
        return Summary(
            state, counts.get("done", 0), counts.get("failed", 0), counts.get("todo", 0), bad, book.path, written
        )
    except sqlite3.Error as error:
        raise SmoothNetError(
            f"the manifest {book.path} is damaged or cannot be written ({error}); name another --manifest"
        ) from error
    finally:
        book.close()


def _refuse_inputs(out: str, names: list[str]) -> None:
    """Raise where an output without a manifest lies in an input and holds files: they would be left out as its own."""
    held = sorted(name for name in os.listdir(out) if not name.startswith(".")) if os.path.isdir(out) else []
    above = [os.path.realpath(local_name(name)) + os.sep for name in names if not is_url(name)]
    if held and any((os.path.realpath(out) + os.sep).startswith(folder) for folder in above):
        raise SmoothNetError(
            f"{out} lies in an input and holds {held[0]}, which would count as an output; name another output"
        )


def _refuse_gone(out: str, lost: int) -> None:
    """Raise where an output has gone that files were done into: not that a corpus lands on the disk below a mount."""
    if not lost or is_url(out) or (os.path.isdir(out) and os.listdir(out)):
        return
    raise SmoothNetError(
        f"{out} is empty, but {lost} files were done into it: is it mounted? To do them again, remove the manifest"
    )


def _settings(options: SmoothingOptions) -> tuple[SmoothingOptions, str, dict[str, str]]:
    """The options with the file of the weights, the checksum of both, and what the table runs says of them."""
    facts = {"weights": "", "weights_sha256": ""}
    if options.method == "network":
        file = find_weights(options.checkpoint, options.window)
        if not file.is_file():
            raise SmoothNetError(f"the checkpoint {file} does not exist")
        options = replace(options, checkpoint=str(file.resolve()))
        facts = {"weights": printable(file), "weights_sha256": measure(file)[1]}
    words = json.dumps({k: v for k, v in asdict(options).items() if k != "checkpoint"}, sort_keys=True)
    digest = hashlib.sha256(f"{words} {facts['weights_sha256']}".encode()).hexdigest()
    return options, digest, {"words": words, "version": __version__, **facts}


def _work(
    book: Manifest,
    out: str,
    options: SmoothingOptions,
    start: Callable[..., Any],
    how: tuple[int | None, str | None],
    force: bool,
    state: Progress,
    progress: Callable[[Progress], None],
) -> None:
    """Do all that is to do."""
    with _staging(out) as staging, start(*how, options) as engine:
        try:
            engine.submit(prepare, options).result()
        except engine.crashed as error:
            raise SmoothNetError(f"a worker died as it started: {error}; is there memory for --jobs so many?") from None
        except Exception as error:
            cause = getattr(error, "cause", error)  # Ray's errors have the worker's within
            if isinstance(cause, SmoothNetError):
                raise SmoothNetError(str(cause)) from error
            raise
        state.began = time.monotonic()
        _Driver(book, Job(options, out, staging), engine, force, state, progress).run()


@contextmanager
def _staging(out: str) -> Iterator[str | None]:
    """A new temporary folder within the output, without those that killed runs have left; None for a URL."""
    if is_url(out):
        yield None
        return
    base = Path(out) / STAGING
    try:
        shutil.rmtree(base, ignore_errors=True)
        folder = base / secrets.token_hex(4)
        folder.mkdir(parents=True)
    except OSError as error:
        raise SmoothNetError(f"cannot write into {out}: {error.strerror}; name another output") from error
    try:
        yield str(folder)
    finally:
        with undisturbed():
            shutil.rmtree(base, ignore_errors=True)


class _Driver:
    """The loop of a run: keeps the engine busy, saves what comes back, puts outputs in place."""

    def __init__(
        self, book: Manifest, job: Job, engine: Engine, force: bool, state: Progress, progress: Callable
    ) -> None:
        self.book, self.job, self.engine, self.force, self.state = book, job, engine, force, state
        self.progress = progress
        self.flying: dict[Future, list[tuple[int, Item, bool]]] = {}
        self.landed: queue.SimpleQueue[Future] = queue.SimpleQueue()
        self.suspects: list[tuple[int, Item, bool]] = []  # of batches whose worker died
        self.missed = 0  # inputs in a row that could not be reached

    def run(self) -> None:
        """All that is to do; files whose worker died come last, one at a time, so that the guilty one is found."""
        for batch in self.batches():
            while len(self.flying) >= FLYING * self.engine.workers:
                self.collect()
            self.submit(batch)
        while self.flying:
            self.collect()
        suspects, self.suspects = self.suspects, []
        for row in suspects:
            for _ in range(TRIES):
                self.submit([row])
                self.collect()
                if not self.suspects:
                    break
                self.suspects.clear()
            else:
                error = f"{row[1].source}: the worker died of it {TRIES} times (is there memory enough?)"
                self.save([row], [Result(row[0], "failed", {"error": printable(error)})])

    def batches(self) -> Iterator[list[tuple[int, Item, bool]]]:
        """What is to do, in batches of so many frames, as far as sizes of files tell: by the frames a byte so far."""
        batch: list[tuple[int, Item, bool]] = []
        frames = 0.0
        for row in self.book.todo():
            batch.append(row)
            known = self.state.frames and self.state.bytes
            mean = self.state.bytes / max(self.state.done, 1)
            size = row[1].size if row[1].size >= 0 else mean
            frames += size * self.state.frames / self.state.bytes if known else BATCH_FRAMES
            if frames >= BATCH_FRAMES or len(batch) >= BATCH_FILES:
                yield batch
                batch, frames = [], 0.0
        if batch:
            yield batch

    def submit(self, batch: list[tuple[int, Item, bool]]) -> None:
        future = self.engine.submit(smooth_batch, [(number, item) for number, item, _ in batch], self.job)
        self.flying[future] = batch
        future.add_done_callback(self.landed.put)

    def collect(self) -> None:
        """Wait for one batch, and save it."""
        future = self.landed.get()
        batch = self.flying.pop(future)
        try:
            results = future.result()
        except self.engine.crashed:
            self.suspects += batch
            return
        self.save(batch, results)

    def save(self, batch: list[tuple[int, Item, bool]], results: list[Result]) -> None:
        """Commit the rows, then rename the outputs; see the module's head."""
        rows = {number: (item, ours) for number, item, ours in batch}
        for result in results:
            self.refuse_foreign(result, *rows[result.id])
        finished = [result for result in results if not result.stop]
        self.book.save([(r.id, r.state, r.values | {"settings": self.book.settings}) for r in finished])
        for result in finished:
            item = rows[result.id][0]
            if result.staged:
                self.place(Path(result.staged), Path(join(self.job.out, item.name)))
            self.count(result, item)
        self.progress(self.state)
        stop = next((result.stop for result in results if result.stop), None)
        if stop is None and self.missed >= UNREACHABLE:
            stop = f"{self.missed} inputs in a row cannot be read, the last one {item.source}"
        if stop is not None:
            raise SmoothNetError(f"{stop}; free space or mount it again, and start again: what is done stays done")

    def refuse_foreign(self, result: Result, item: Item, ours: bool) -> None:
        """Let nothing be replaced that no run of this manifest has written, and no input ever."""
        if result.staged is None:
            return
        target = join(self.job.out, item.name)
        if not os.path.lexists(target):
            return
        if os.path.exists(target) and not is_url(item.source) and os.path.samefile(target, item.source):
            problem = f"{target} is the input; name another output"
        elif not ours and not self.force:
            problem = f"{target} exists and is not of this manifest; name another output, or replace it with --force"
        else:
            return
        result.state, result.staged, result.values = "failed", None, {"error": printable(problem)}

    def place(self, staged: Path, target: Path) -> None:
        with undisturbed():
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                if (staged.is_dir() or target.is_dir()) and os.path.lexists(target):
                    if not exchange(staged, target):
                        shutil.rmtree(target)
                        os.rename(staged, target)
                else:
                    os.replace(staged, target)
                shutil.rmtree(staged.parent, ignore_errors=True)
            except OSError as error:
                if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG) and Path(self.job.out).is_dir():
                    problem = f"cannot write {target}: {error.strerror}; a folder's name is taken by a file"
                    number = int(staged.parent.name)
                    self.book.save([(number, "failed", {"error": printable(problem)})])
                    return
                raise SmoothNetError(
                    f"cannot write {target}: {error.strerror}; free space or mount it again, and start again"
                ) from error

    def count(self, result: Result, item: Item) -> None:
        state, values = self.state, result.values
        state.bytes += max(item.size, 0)
        if result.state == "todo":
            state.unreached += 1
            self.missed += 1
            return
        self.missed = 0
        if result.state == "failed":
            state.failed += 1
            return
        state.done += 1
        state.frames += values["frames"]
        state.hours += values["frames"] / (values["fps"] or USUAL_FPS) / 3600
