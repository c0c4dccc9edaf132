# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What a frame of a stream takes, what running the network less often costs, and numpy against torch.

python benchmarks/streaming.py [--recordings 24] [--frames 300,3000,60000] [--checkpoint PATH]

Times are of one thread. Those of whole recordings are CPU time, so that other programs hardly matter.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is imported
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from lib.dataset.motion import generate_motion
from lib.dataset.noise import add_errors
from lib.inference import Smoother

JOINTS, DIMS = 33, 3
STEPS = (1, 2, 4, 8, 16)


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this thread."""
    start = time.thread_time()
    work()
    return time.thread_time() - start


def latencies(smoother: Smoother, people: int, delay: int, frames: int) -> np.ndarray:
    """(2, frames) milliseconds of the pushes after the first windows: CPU time, and on the clock."""
    poses = np.random.default_rng(0).normal(size=(frames + 2 * smoother.window, JOINTS, DIMS)).cumsum(0) * 0.01
    stream = smoother.stream(delay)
    given = ({i: pose + i for i in range(people)} if people > 1 else pose for pose in poses)
    times = []
    for pose in given:
        clock, cpu = time.perf_counter(), time.thread_time()
        stream.push(pose)
        times.append((time.thread_time() - cpu, time.perf_counter() - clock))
    return 1000 * np.array(times[2 * smoother.window :]).T


def costs_of_steps(smoother: Smoother, recordings: int, delays: Sequence[int]) -> dict[int, list[str]]:
    """Delay -> for each of STEPS, MPJPE / acceleration error as a share of the input's, geometric mean."""
    rng, window = np.random.default_rng(0), smoother.window
    shares: dict[tuple[int, int], list[tuple[float, float]]] = {}
    inner = slice(window, -window)
    for _ in range(recordings):
        truth = np.asarray(generate_motion(rng, 200, 15), np.float64)
        windows = truth.transpose(1, 2, 0)[None].astype(np.float32)
        seen = add_errors(windows, np.array([0.5], np.float32), rng)[0].transpose(2, 0, 1).astype(np.float64)
        before = errors(seen[inner] - truth[inner])
        for delay in delays:
            for step in STEPS:
                if step <= delay + 1:
                    stream = smoother.stream(delay, step=step)
                    smoothed = np.stack([stream.push(frame) for frame in seen][delay:] + stream.flush())
                    after = errors(smoothed[inner] - truth[inner])
                    shares.setdefault((delay, step), []).append((after[0] / before[0], after[1] / before[1]))
    means = {key: np.exp(np.log(np.array(values)).mean(axis=0)) for key, values in shares.items()}
    return {
        delay: [
            "{:.3f} / {:.3f}".format(*means[delay, step]) if (delay, step) in means else "-".center(13)
            for step in STEPS
        ]
        for delay in delays
    }


def errors(residual: np.ndarray) -> tuple[float, float]:
    """Mean length of (T, K, D) errors, and of their second differences."""
    bend = np.diff(residual, 2, axis=0)
    return float(np.linalg.norm(residual, axis=-1).mean()), float(np.linalg.norm(bend, axis=-1).mean())


def torch_against_numpy(checkpoint: str | None, frames: Sequence[int]) -> None:
    """CPU seconds of a whole recording in both; those of importing torch beside them."""
    plain = Smoother.from_checkpoint(checkpoint)
    importing = cpu_seconds(lambda: __import__("torch"))
    import torch

    from lib.models.load import _load_torch
    from lib.weights import find_weights

    torch.set_num_threads(1)
    other = Smoother(_load_torch(find_weights(checkpoint), "cpu", None))
    print(f"importing torch: {importing:.2f} s")
    for count in frames:
        points = np.random.default_rng(0).normal(size=(count, JOINTS, DIMS)).cumsum(0) * 0.01
        seconds = [cpu_seconds(lambda points=points, which=which: which(points)) for which in (plain, other)]  # type: ignore[misc]
        print(f"{count:7d} frames x {JOINTS} joints: numpy {seconds[0]:.2f} s, torch {seconds[1]:.2f} s")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=int, default=24)
    parser.add_argument("--frames", default="300,3000,60000")
    parser.add_argument("--checkpoint")
    args = parser.parse_args(argv)
    smoother = Smoother.from_checkpoint(args.checkpoint)
    last = smoother.window - 1
    longest = last + smoother.network.step - 1
    cases = ((1, longest, 1600), (1, last, 1600), (1, last // 2, 500), (1, 0, 500), (100, longest, 80), (100, last, 80))
    for people, delay, frames in cases:
        cpu, wall = latencies(smoother, people, delay, frames)
        print(
            f"{people:3d} x {JOINTS} joints, delay {delay:2d}: p50 {np.quantile(cpu, 0.5):.3f}, p99 "
            f"{np.quantile(cpu, 0.99):.3f}, worst {cpu.max():.3f}, mean {cpu.mean():.3f} ms of CPU time a frame; "
            f"on the clock p50 {np.quantile(wall, 0.5):.3f}, p99 {np.quantile(wall, 0.99):.3f}; "
            f"load {os.getloadavg()[0]:.1f}"
        )
    delays = sorted({0, 4, 7, last // 2, 3 * last // 4, last - smoother.network.step // 2, last})
    for delay, cells in costs_of_steps(smoother, args.recordings, delays).items() if args.recordings else ():
        print(f"delay {delay:2d}, every 1, 2, 4, 8, 16 frames: " + "   ".join(cells), flush=True)
    torch_against_numpy(args.checkpoint, [int(count) for count in args.frames.split(",") if count])
    return 0


if __name__ == "__main__":
    sys.exit(main())
