# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""One file to one row: read, smooth, write to a temporary place, and say what became of it.

It runs in worker processes, on other machines, or wherever Dask and Spark put it. The output depends on the file, the
options and the weights alone: a file goes through by itself, with one thread, whoever has it and whatever went before.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..formats import write_recording
from ..inference.methods import Smoothing
from ..inference.options import SmoothingOptions
from ..utils.arguments import check_path
from ..utils.errors import SmoothNetError
from ..utils.files import atomic_write, only_in, printable, refuse_endless
from .inputs import Item, find_inputs
from .shards import smooth_parquet, smooth_tar
from .storage import fetched, is_url, join, measure, put, reason
from .tally import OF_THIS_NAME, OutputError, Tally, writing

_PASSING = (errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EMFILE)


@dataclass(frozen=True)
class Job:
    """How all files of a run are smoothed, and where to.

    Attributes:
        staging: folder for temporary files on the output's file system; None: outputs are URLs, and appear at once.
    """

    options: SmoothingOptions
    out: str
    staging: str | None


@dataclass
class Result:
    """What became of one file.

    Attributes:
        state: "done"; "failed" for what the file holds; "todo" where it could not be reached, which may pass.
        values: columns of manifest.RESULTS.
        staged: where the output waits to be renamed; None: nowhere, or it is in place.
        stop: why no other file can be written either, if so.
    """

    id: int
    state: str
    values: dict[str, Any]
    staged: str | None = None
    stop: str = ""


# ---------------------------------------------------------------- in a worker


@lru_cache(maxsize=2)
def smoothing_for(options: SmoothingOptions) -> Smoothing:
    """What smooths, loaded once in each process.

    Raises:
        SmoothNetError: options that do not go together, weights that cannot be loaded.
    """
    return Smoothing(options)


def prepare(options: SmoothingOptions) -> None:
    """Load what is needed; says what is wrong with the options before any file is read."""
    with one_thread():
        smoothing_for(options)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch compute with one thread, so that sums are added up in one order on every machine."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else None
    if torch is not None:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if torch is not None:
            torch.set_num_threads(before)


def smooth_batch(batch: Sequence[tuple[int, Item]], job: Job) -> list[Result]:
    """Smooth some files one after the other; after one that says stop, the rest is left to do."""
    results: list[Result] = []
    smoothing_for(job.options)  # which may import torch
    with one_thread():
        for number, item in batch:
            results.append(smooth_item(number, item, job))
            if results[-1].stop:
                break
    return results


def smooth_item(number: int, item: Item, job: Job) -> Result:
    """Smooth one input. Nothing but a request to end gets out of here as an exception."""
    start = time.perf_counter()
    values: dict[str, Any] = {}
    place: Path | None = None
    try:
        with writing():
            place = _place(number, job)
        try:
            with fetched(item.source, place if job.staging is None else None) as path:
                if not path.exists():
                    raise FileNotFoundError(f"{item.source} does not exist")
                refuse_endless(path, item.source)
                values["sha256"] = measure(path)[1]
                target = place / item.name.rsplit("/", 1)[-1]
                values |= SMOOTH[item.kind](path, target, smoothing_for(job.options)).values()
            with writing():
                values["out_size"], values["out_sha256"] = measure(target, sync=True)
                if job.staging is None:
                    put(target, join(job.out, item.name))
        except SmoothNetError as error:
            cause = error.__cause__
            gone = not is_url(item.source) and not os.path.exists(item.source)
            if isinstance(cause, OSError) and (gone or cause.errno in _PASSING):
                raise cause from error
            if is_url(item.source):  # what was read is a copy, which is gone
                raise SmoothNetError(str(error).replace(str(path), item.source)) from error
            raise
        values["seconds"] = time.perf_counter() - start
        return Result(number, "done", values, str(target) if job.staging is not None else None)
    except OutputError as error:
        return Result(number, "todo", {}, stop=f"cannot write into {job.out}: {error}")
    except OSError as error:
        name = error.strerror or reason(error)
        state, what = "todo", f"{item.source} cannot be read now: {name}"
        if error.errno in (*OF_THIS_NAME, errno.EACCES, errno.EISDIR):
            state, what = "failed", f"{item.source}: {name}"
    except SmoothNetError as error:
        state, what = "failed", str(error)
    except MemoryError:
        state, what = "failed", f"{item.source} needs more memory than there is; split it"
    except Exception as error:  # a bad file never stops the rest, not even one that shows a mistake in here
        state, what = "failed", f"{item.source}: unexpected {type(error).__name__}: {reason(error)}"
    finally:
        if job.staging is None and place is not None:
            shutil.rmtree(place, ignore_errors=True)
    values = {k: v for k, v in values.items() if k == "sha256"}
    return Result(number, state, values | {"error": printable(what), "seconds": time.perf_counter() - start})


def _place(number: int, job: Job) -> Path:
    """An empty folder for the output of one file. The staging folder is never made here: it went with its disk."""
    if job.staging is None:
        return Path(tempfile.mkdtemp(prefix="smoothnet-"))
    place = Path(job.staging) / str(number)
    with suppress(FileNotFoundError):
        shutil.rmtree(place)  # of a worker that was killed
    place.mkdir()
    return place


def _smooth_file(path: Path, target: Path, smoothing: Smoothing) -> Tally:
    """A file or a folder of frames."""
    tally = Tally()
    recording = smoothing.read(path)
    smoothed, report = smoothing(recording)
    tally.add(recording, report, smoothing.fps(recording), smoothing.options.min_score)
    with writing():
        write_recording(recording, smoothed, target)
    return tally


SMOOTH = {"file": _smooth_file, "frames": _smooth_file, "tar": smooth_tar, "parquet": smooth_parquet}


# ---------------------------------------------------------------- for other people's engines


def _lost(target: Path, staged: Path) -> str:
    """What a folder in the place of an output holds that the output does not; "" where nothing would be lost."""
    if not target.is_dir():
        return ""
    lost = only_in(target, staged) if staged.is_dir() else sorted(entry.name for entry in target.iterdir())
    return lost[0] if lost else ""


def with_weights(options: SmoothingOptions, name: str, content: bytes, sha256: str) -> SmoothingOptions:
    """The options with their checkpoint in a file of this machine, which is written if it is not there yet."""
    folder = Path(tempfile.gettempdir()) / f"smoothnet-{os.getuid()}-{sha256[:16]}"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / name
    if not file.is_file() or measure(file)[1] != sha256:
        with atomic_write(file) as out:
            out.write(content)
    return replace(options, checkpoint=str(file))


class FileSmoother:
    """A plain callable for Dask, Spark, multiprocessing or a loop: path or URL of a file -> what became of it.

    The output is written below `out`, whole or not at all, under the name of the input; there is no manifest. It can
    be pickled; the network is loaded once in each process. Set OMP_NUM_THREADS=1 for processes that share a machine.

        dask.bag.from_sequence(paths).map(FileSmoother("smoothed")).compute()
        spark.sparkContext.parallelize(paths).map(FileSmoother("s3://bucket/smoothed")).collect()
        ray.data.from_items([{"path": p} for p in paths]).map_batches(FileSmoother("smoothed").batch)

    Args:
        out: folder or URL.
        root: paths below it keep their folders in the output; None: outputs have the name of the file alone.
        options: as for SmoothingOptions, for example strength=0.5.
    """

    def __init__(self, out: str | os.PathLike, root: str | os.PathLike | None = None, **options: Any) -> None:
        self.out = os.fspath(out) if is_url(os.fspath(out)) else os.path.abspath(out)
        self.root = None if root is None else os.fspath(root)
        self.options = SmoothingOptions(**options)

    def __call__(self, source: str | os.PathLike) -> dict[str, Any]:
        """Smooth one file; gives its path, output, state ("done", "failed" or "todo") and the manifest's columns."""
        check_path("the file to smooth", source)
        source = os.fspath(source)
        row = {"path": source, "output": "", "state": "todo", "error": None}
        try:
            item, *others = islice(find_inputs([source], self.out), 2)
            if others:
                raise SmoothNetError(f"{source} means several files; give the path of each of them")
        except SmoothNetError as error:
            return row | {"error": str(error)}
        name = item.name
        if self.root is not None:
            name = os.path.relpath(source, self.root) if not is_url(source) else source.removeprefix(self.root)
            name = name.strip("/")
        if name.startswith("../"):
            return row | {"state": "failed", "error": f"{source} does not lie in {self.root}"}
        item = item._replace(name=name)
        output = join(self.out, name)
        if is_url(self.out):
            (result,) = smooth_batch([(0, item)], Job(self.options, self.out, None))
        else:
            target = Path(output)
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".smoothnet-", dir=target.parent) as folder:
                (result,) = smooth_batch([(0, item)], Job(self.options, self.out, folder))
                if result.staged and os.path.exists(source) and target.exists() and target.samefile(source):
                    result = Result(0, "failed", {"error": f"{output} is the input; name another output"})
                elif result.staged and (kept := _lost(target, Path(result.staged))):
                    result = Result(0, "failed", {"error": f"{output} holds {kept}; it will not be replaced"})
                elif result.staged:
                    if target.is_dir():
                        shutil.rmtree(target)
                    os.replace(result.staged, target)
        return row | {"output": output, "state": result.state, "error": result.stop or None} | result.values

    def batch(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """For ray.data.Dataset.map_batches, or what has columns: {"path": (n,)} -> one for each key of a row."""
        rows = [self(str(path)) for path in batch["path"]]
        keys = list(dict.fromkeys(key for row in rows for key in row))
        return {key: np.array([row.get(key) for row in rows], dtype=object) for key in keys}
