# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Gaps: the error of the two frames on either side of a gap, and of the points that --fill writes into it.

    python benchmarks/gaps.py            # the default weights, generated motion, errors of the report part

Gaps of 1 to 10 frames, 10 to 40 frames apart, in every joint; "leaps": behind each gap the joint goes on somewhere else
(0.3 of the body's size, normally distributed), in the estimate and in the truth. Errors in per cent of the body's size,
means over the cases of benchmarks/accuracy.py.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.errors import cases, seeded, truths
from benchmarks.motion import PARTS, body_size, generated
from lib.formats.recording import Recording, Track
from lib.inference import Smoother, overlap
from lib.inference.tracks import Ready, smooth_recording

KINDS = ("white", "ar_fast", "mixed", "bursts", "rounding", "shift")


@dataclass
class Item:
    points: np.ndarray  # NaN in gaps
    truth: np.ndarray
    beside: np.ndarray  # (T, K) bool, the two frames on either side of a gap
    missing: np.ndarray
    size: float


def items(part: str, leaps: bool) -> list[Item]:
    rng = np.random.default_rng(5)
    found = []
    for case in cases(part):
        if case.kind.__name__ in KINDS:
            for clip, truth in truths(generated(part), case, part, 8.0)[:1]:
                points = case.kind(seeded(case.name, "gaps"), truth, case.fps, case.level, clip)
                found.append(_with_gaps(rng, points, truth, leaps))
    return found


def _with_gaps(rng: np.random.Generator, points: np.ndarray, truth: np.ndarray, leaps: bool) -> Item:
    points, truth, size = points.copy(), truth.copy(), body_size(truth)
    missing = np.zeros(points.shape[:2], bool)
    beside = np.zeros_like(missing)
    for joint in range(points.shape[1]):
        first = int(rng.integers(8, 25))
        while first < len(points) - 20:
            behind = first + int(rng.integers(1, 11))
            missing[first:behind, joint] = True
            beside[first - 2 : behind + 2, joint] = True
            if leaps:
                far = 0.3 * size * rng.standard_normal(points.shape[2])
                points[first:, joint] += far
                truth[first:, joint] += far
            first = behind + int(rng.integers(10, 40))
    points[missing] = np.nan
    return Item(points, truth, beside & ~missing, missing, size)


def error(output: np.ndarray, item: Item, where: np.ndarray) -> float:
    """Mean error of the points in `where`, in per cent of the body's size."""
    return float(np.nanmean(np.linalg.norm(output - item.truth, axis=-1)[where]) / item.size * 100)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", default="report", choices=PARTS)
    part = parser.parse_args().part
    smoother = Smoother.from_checkpoint()
    jump = overlap.JUMP
    for leaps in (False, True):
        made = items(part, leaps)
        for name, limit in (("bridged", 1e30), ("apart at leaps", jump)):
            overlap.JUMP = float(limit)
            beside = np.mean([error(smoother(item.points), item, item.beside) for item in made])
            print(f"beside gaps {'with' if leaps else 'without'} leaps, {name}: {beside:.2f} %")
    made = items(part, False)
    for fill in ("linear", "spline", "network"):
        ready = Ready(smoother, window=smoother.window)
        outputs = [
            smooth_recording(Recording(Path("x"), "npy", [Track(0, i.points)], len(i.points)), ready, fill=fill)[0][0]
            for i in made
        ]
        filled = np.mean([error(out, item, item.missing) for out, item in zip(outputs, made, strict=True)])
        print(f"--fill {fill}: {filled:.2f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
