# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What a corpus costs: files and frames a second with one process and with several, an engine's overhead a file, the
driver's memory with a large manifest, the start of a run over files that are done.

    python benchmarks/corpus.py --only speed --files 2000 --jobs 1 2
    python benchmarks/corpus.py --only overhead
    python benchmarks/corpus.py --only manifest --rows 1000000
    python benchmarks/corpus.py --only restart --done 100000

Files are generated (33 joints in 3D, 300 frames, float32 .npy) into a temporary folder, or --folder. Processor time
stands beside the time on the clock: on a machine that others use, too, the first says more.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a script, only this file's own folder is on the path

from lib.corpus import run_corpus  # noqa: E402
from lib.corpus.engines import ENGINES, Engine  # noqa: E402
from lib.corpus.inputs import Item  # noqa: E402
from lib.corpus.manifest import open_manifest  # noqa: E402
from lib.corpus.report import gather, page  # noqa: E402
from lib.inference.options import SmoothingOptions  # noqa: E402

FRAMES, JOINTS, FPS = 300, 33, 30.0
FOLDERS = 1000  # files a folder
MIB = 2**20


def processor_seconds() -> tuple[float, float]:
    """Of this process, and of those that it waited for."""
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime, others.ru_utime + others.ru_stime


def memory() -> float:
    """MiB that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MIB


def write_files(folder: Path, count: int, frames: int) -> None:
    """Smooth motion with white noise of 1 cm, each file its own."""
    t = np.arange(frames)[:, None, None] / FPS
    for i in range(count):
        rng = np.random.default_rng([7, i])
        place = folder / f"{i // FOLDERS:04}"
        place.mkdir(parents=True, exist_ok=True)
        rates, phases = rng.uniform(0.5, 6, (JOINTS, 3)), rng.uniform(0, 6, (JOINTS, 3))
        motion = 0.3 * np.sin(t * rates + phases) + rng.normal(size=(JOINTS, 3))
        np.save(place / f"{i:07}.npy", (motion + rng.normal(size=motion.shape) * 0.01).astype(np.float32))


def speed(folder: Path, files: int, jobs: list[int], engines: list[str]) -> None:
    """Whole runs, start of the workers and network included; then the same without the start."""
    write_files(folder / "in", files, FRAMES)
    base: dict[str, tuple[float, float]] = {}
    for engine in engines:
        for workers in jobs:
            before, start = processor_seconds(), time.perf_counter()
            done = run_corpus(
                [folder / "in"], folder / f"{engine}-{workers}", SmoothingOptions(fps=FPS), engine=engine, jobs=workers,
                report=False,
            )  # fmt: skip
            wall = time.perf_counter() - start
            busy = (done.progress.ended or 0.0) - done.progress.began
            own, others = (after - was for after, was in zip(processor_seconds(), before, strict=True))
            first_wall, first_busy = base.setdefault(engine, (wall, busy))
            print(
                f"{engine}, {workers} at once: {files} files x {FRAMES} frames x {JOINTS} joints in {wall:.1f} s "
                f"({busy:.1f} s without the start of the workers): {files / busy:.1f} files/s, "
                f"{files * FRAMES / busy:.0f} frames/s; {first_wall / wall:.2f} x ({first_busy / busy:.2f} x); "
                f"processor: driver {own:.1f} s, workers {others:.1f} s; load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
            assert done.complete


def nothing(batch: list[tuple[int, Item]]) -> list[int]:
    return [number for number, _ in batch]


def overhead(engines: list[str], files: int, jobs: int) -> None:
    """What an engine costs a file that takes no time, in batches of 1 and of 20."""
    item = Item("0000/0000000.npy", "/corpus/in/0000/0000000.npy", "file", 118_928, "1")

    def batches(size: int) -> Iterator[list[tuple[int, Item]]]:
        for first in range(0, files, size):
            yield [(first + i, item) for i in range(size)]

    for name in engines:
        with ENGINES[name](jobs, None, SmoothingOptions(method="gaussian")) as engine:
            _overhead(name, engine, batches, files)


def _overhead(name: str, engine: Engine, batches, files: int) -> None:
    engine.submit(nothing, []).result()
    for size in (1, 20):
        own, start = processor_seconds()[0], time.perf_counter()
        flying = [engine.submit(nothing, batch) for batch in batches(size)]
        for future in flying:
            future.result()
        wall, busy = time.perf_counter() - start, processor_seconds()[0] - own
        print(
            f"{name}, batches of {size}: {1e3 * wall / files:.3f} ms a file, "
            f"{1e3 * busy / files:.3f} ms of them the driver's",
            flush=True,
        )


def listed(count: int) -> Iterator[Item]:
    for i in range(count):
        yield Item(f"{i // FOLDERS:04}/{i:07}.npy", f"/corpus/in/{i // FOLDERS:04}/{i:07}.npy", "file", 118_928, str(i))


def result(number: int) -> tuple[int, str, dict]:
    """A row as it comes back from a worker, with numbers of its own."""
    size = 10.0 ** ((number * 7919 % 1000) / 500 - 3)
    values = {
        "sha256": f"{number:064x}", "settings": "s" * 64, "sequences": 1, "bad": 0, "frames": FRAMES, "people": 1,
        "fps": FPS, "size_of_body": 1.0, "jitter_before": size, "jitter_after": size / 5, "moved": size / 3,
        "moved_most": size, "out_size": 118_928, "out_sha256": f"{number:064x}", "seconds": 0.02,
    }  # fmt: skip
    return (number, "failed", {"error": "cannot be read"}) if number % 1000 == 0 else (number, "done", values)


def manifest(folder: Path, rows: int) -> None:
    """Time and memory of the driver's own work on so many rows: list them, walk over them, save them, report."""
    book = open_manifest(folder / "manifest.sqlite")
    try:
        book.begin("s" * 64, words="{}", weights="", weights_sha256="", version="", engine="local", out="/corpus/out")
        held = memory()

        def say(what: str, start: tuple[float, float]) -> None:
            wall, busy = time.perf_counter() - start[0], processor_seconds()[0] - start[1]
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{what} {rows} rows: {wall:.1f} s, {busy:.1f} s of the processor; {memory() - held:.1f} MiB more "
                  f"than before, {peak:.0f} MiB at most with all that is imported", flush=True)  # fmt: skip

        start = (time.perf_counter(), processor_seconds()[0])
        book.take(listed(rows), retry=False)
        say("listing", start)
        start = (time.perf_counter(), processor_seconds()[0])
        batch = []
        for number, _, _ in book.todo():
            batch.append(result(number))
            if len(batch) == 1000:
                book.save(batch)
                batch = []
        book.save(batch)
        say("saving", start)
        start = (time.perf_counter(), processor_seconds()[0])
        book.take(listed(rows), retry=False)
        say("listing again", start)
        start = (time.perf_counter(), processor_seconds()[0])
        page(gather(book) | {"players": {}})
        say("the report of", start)
        print(f"the manifest: {(folder / 'manifest.sqlite').stat().st_size / MIB:.0f} MiB")
    finally:
        book.close()


def restart(folder: Path, count: int) -> None:
    """A second run where all is done: files of 2 frames stand for any, since none is opened."""
    options = SmoothingOptions(method="gaussian", fps=FPS)
    write_files(folder / "in", count, 2)
    book = open_manifest(folder / "out.corpus/manifest.sqlite")
    run_corpus([folder / "in/0000"], folder / "probe", options, jobs=0, report=False)  # for the settings' checksum
    probe = open_manifest(folder / "probe.corpus/manifest.sqlite")
    settings = probe._db.execute("SELECT settings FROM runs").fetchone()[0]
    probe.close()
    from lib.corpus.inputs import find_inputs

    book.begin(settings)
    book.take(find_inputs([str(folder / "in")], str(folder / "out")), retry=False)
    batch = []
    for number, item, _ in book.todo():
        target = folder / "out" / item.name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(item.source, target)
        batch.append((number, "done", result(1)[2] | {"settings": settings, "out_size": item.size}))
        if len(batch) == 1000:
            book.save(batch)
            batch = []
    book.save(batch)
    book.close()
    before, start = processor_seconds()[0], time.perf_counter()
    done = run_corpus([folder / "in"], folder / "out", options, report=False)
    wall, busy = time.perf_counter() - start, processor_seconds()[0] - before
    assert done.done == done.progress.skipped == count, done
    print(f"a second run over {count} done files: {wall:.1f} s, {busy:.1f} s of the processor; load "
          f"{os.getloadavg()[0]:.1f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=["speed", "overhead", "manifest", "restart"])
    parser.add_argument("--folder", type=Path, help="where the files lie meanwhile")
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--engine", nargs="+", default=["local"], choices=sorted(ENGINES))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--done", type=int, default=100_000)
    args = parser.parse_args()
    parts = {
        "speed": lambda folder: speed(folder, args.files, args.jobs, args.engine),
        "overhead": lambda folder: overhead(args.engine, args.files, args.jobs[-1]),
        "manifest": lambda folder: manifest(folder, args.rows),
        "restart": lambda folder: restart(folder, args.done),
    }
    for name in args.only:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            parts[name](Path(folder))


if __name__ == "__main__":
    main()
