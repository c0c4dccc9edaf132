# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Memory over a dataset of AIST++'s shape, over a long stream and over long files: `python benchmarks/large.py`.

`--only smooth --smoothed 60000,1000000` writes files of so many frames of 33 joints (float32, .npy), smooths each with
the command, as `--jobs` 1, and prints the wall time, the processor time and the memory of that process beside what the
same takes for a file of 200 frames (the interpreter, numpy and the network). OMP_NUM_THREADS says how many threads.
On one thread 60,000 frames took 6.7 s of processors and 68 MiB, 1,000,000 took 108.6 s and 490 MiB, 1.30 times the
file.

Writes a generated dataset (14 joints, float32) into a temporary folder, reads it, trains an epoch, evaluates
every sequence and pushes frames with people who come and go through a stream, and prints the memory at many points.
The network is small: its size does not decide how memory grows.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from lib.config import load_config  # noqa: E402
from lib.dataset.poses import load_poses, write_poses  # noqa: E402
from lib.evaluation.evaluate import (  # noqa: E402
    evaluate_sequences,
    input_method,
    network_method,
    summarise,
    without_poses,
)
from lib.inference.smoother import Smoother  # noqa: E402
from lib.models.smoothnet import SmoothNet  # noqa: E402
from lib.training.loop import train  # noqa: E402

JOINTS = 14
START = time.perf_counter()
MEASURE = """
import os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def report(what: str) -> None:
    """Print the memory that the process holds now, and the most it ever held."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    now = pages * resource.getpagesize() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{time.perf_counter() - START:7.0f} s  {now:7.0f} MiB now  {peak:7.0f} MiB at most  {what}", flush=True)


def write_dataset(base: Path, phase: str, frames: int, sequences: int) -> None:
    """One phase of `aist` with `vibe`: random walks, and the same with noise."""
    rng = np.random.default_rng(0)
    lengths = np.full(sequences, frames // sequences) + rng.integers(-100, 100, sequences)
    walks = [np.cumsum(rng.normal(0, 0.01, (n, JOINTS * 3)), axis=0).astype(np.float32) for n in lengths]
    noisy = [walk + rng.normal(0, 0.02, walk.shape).astype(np.float32) for walk in walks]
    names = [[f"sequence{i:05d}/{frame:06d}.jpg" for frame in range(n)] for i, n in enumerate(lengths)]
    for path in write_poses(base, "aist", "vibe", "3D", phase, names, walks, noisy, compress=False):
        print(f"{path.name}: {lengths.sum()} frames, {sequences} sequences, {path.stat().st_size / 2**20:.0f} MiB")


def train_and_evaluate(base: Path, run: Path, steps: int, step_size: int) -> None:
    small = ["MODEL.HIDDEN_SIZE", "64", "MODEL.RES_HIDDEN_SIZE", "32", "MODEL.NUM_BLOCK", "1"]
    options = [*small, "MODEL.SLIDE_WINDOW_SIZE", "32", "TRAIN.VALIDATE", "False"]
    options += ["TRAIN.EPOCH", "1", "TRAIN.STEP", str(steps or -1)]
    cfg = load_config(None, {}, options)
    data = load_poses(base, "aist", "vibe", "3D", "train")
    report(f"read {data.frames} frames ({2 * data.detected.nbytes / 2**20:.0f} MiB of numbers)")
    done = 0

    def after_step() -> bool:
        nonlocal done
        done += 1
        if done % max(1, (steps or 2700) // 5) == 0:
            report(f"trained {done} steps")
        return False

    train(cfg, [data], [], run, torch.device("cpu"), stop=after_step, progress=False)
    report(f"trained {done} steps")
    model = SmoothNet(32, None, 64, 32, 1).eval()
    methods = {
        "input": input_method(data),
        "smoothnet": network_method(model, data, device=torch.device("cpu"), step=step_size),
    }
    results = []
    for result in evaluate_sequences(data, methods):
        results.append(without_poses(result))
        if len(results) % max(1, data.sequences // 5) == 0:
            report(f"evaluated {len(results)} sequences")
    summary = summarise(results)
    report(f"summary: {summary['frames']} frames, input MPJPE {summary['input_mpjpe']:.2f}")


def stream(frames: int) -> None:
    """People who come, stay 40 to 200 frames and go; up to three at a time, each with an id of its own."""
    model = SmoothNet(32, None, 64, 32, 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.pth.tar"
        torch.save({"state_dict": model.state_dict()}, path)
        smoother = Smoother.from_checkpoint(path)
    rng = np.random.default_rng(1)
    live, people, came, out = smoother.stream(2), {}, 0, 0
    for frame in range(frames):
        people = {id: until for id, until in people.items() if until > frame}
        if len(people) < 3 and rng.random() < 0.1:
            people[came] = frame + int(rng.integers(40, 200))
            came += 1
        result = live.push({id: rng.normal((id % 7, frame / 50), 1.0, (17, 2)) for id in people})
        out += bool(result)
        if (frame + 1) % max(1, frames // 5) == 0:
            report(f"streamed {frame + 1} frames, {came} people came, {out} frames with somebody came out")


def write_recording(path: Path, frames: int) -> None:
    """33 joints that swing, with noise, a block at a time."""
    rng = np.random.default_rng(0)
    array = np.lib.format.open_memmap(path, "w+", np.float32, (frames, 33, 3))
    place, speed = rng.normal(0, 0.5, (33, 3)), 1 + np.arange(99).reshape(33, 3) / 50
    for first in range(0, frames, 10_000):
        part = array[first : first + 10_000]
        time_of = np.arange(first, first + len(part))[:, None, None] / 30
        part[:] = place + 0.3 * np.sin(time_of * speed) + rng.normal(0, 0.01, part.shape)


def smooth_file(folder: Path, frames: int) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and the most memory in MiB of a process that smooths so many frames."""
    source = folder / f"{frames}.npy"
    write_recording(source, frames)
    command = [sys.executable, str(ROOT / "smooth_smoothnet.py"), str(source), "-o", str(folder / "out.npy"), "--force"]
    # A process counts as its own what the one had that started it: a small one in between.
    measured = subprocess.run([sys.executable, "-c", MEASURE, *command], capture_output=True, text=True, check=True)
    source.unlink()
    wall, processor, memory = map(float, measured.stdout.split())
    return wall, processor, memory / 1024


def smooth_files(base: Path, lengths: list[int]) -> None:
    own = smooth_file(base, 200)[2]
    print(f"200 frames: {own:.0f} MiB")
    for frames in lengths:
        wall, processor, memory = smooth_file(base, frames)
        size = frames * 33 * 3 * 4 / 2**20
        print(
            f"{frames} frames ({size:.0f} MiB): {wall:.1f} s, {processor:.1f} s of processors "
            f"({processor / frames * 60_000:.1f} s for 60,000 frames), {memory:.0f} MiB at most, "
            f"beside that of 200 frames {memory - own:.0f} MiB, {(memory - own) / size:.2f} times the file; "
            f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the dataset (1.2 GB) lies meanwhile")
    parser.add_argument("--frames", type=int, default=3_000_000)
    parser.add_argument("--sequences", type=int, default=7_000)
    parser.add_argument("--steps", type=int, default=0, help="training steps of 1024 windows; 0: an epoch")
    parser.add_argument("--step_size", type=int, default=1, help="frames between the windows of the evaluation")
    parser.add_argument("--streamed", type=int, default=100_000)
    parser.add_argument("--smoothed", default="60000,1000000", help="frames of the files that are smoothed")
    parser.add_argument("--only", default="stream,dataset,smooth", help="parts, by comma")
    args = parser.parse_args()
    report("started")
    if "smooth" in args.only.split(","):
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            smooth_files(Path(folder), [int(frames) for frames in args.smoothed.split(",")])
    if "stream" in args.only.split(","):
        stream(args.streamed)
    if "dataset" not in args.only.split(","):
        return
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        base, run = Path(folder) / "poses", Path(folder) / "run"
        run.mkdir()
        # in a process of its own, whose memory does not count here
        writer = multiprocessing.get_context("spawn").Process(
            target=write_dataset, args=(base, "train", args.frames, args.sequences)
        )
        writer.start()
        writer.join()
        train_and_evaluate(base, run, args.steps, args.step_size)


if __name__ == "__main__":
    main()
