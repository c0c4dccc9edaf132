# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What windows further apart cost, and what a taper gives: MPJPE / Accel of a checkpoint on real pairs.

    python benchmarks/overlap.py CHECKPOINT --data data/poses --dataset uiprmd --estimator kinect --people 7,8

All sequences of the people named (`_s07_` in their image names; all without --people) of both phases, in 3D, relative
to the root; Accel without padding. Step and taper for weights of one's own are chosen from it, on people that training
knows, and stored by data/publish_checkpoint.py.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.accuracy import official_sequences, pooled, scores
from lib.commands.arguments import run_main
from lib.inference import Smoother
from lib.models.bank import window_taper
from lib.utils.errors import SmoothNetError

STEPS = (1, 2, 4, 8, 16)
TAPERS = ("uniform", "triangle", "hann")
Item = tuple[np.ndarray, np.ndarray, float]  # estimate and truth (T, K, 3) mm, frames a second


def sequences(base: Path, dataset: str, estimator: str, people: set[int]) -> tuple[list[Item], tuple[int, ...]]:
    """The sequences of these people, of all without any, and the joints whose mean is the root."""
    whose, items, root = official_sequences(base, dataset, estimator, "3D")
    items = [item for (_, person), item in zip(whose, items, strict=True) if not people or person in people]
    if not items:
        raise SmoothNetError(f"there are no sequences of {dataset} {estimator} in {base} for these people")
    return items, root


def table(smoother: Smoother, items: Sequence[Item], root: tuple[int, ...]) -> list[str]:
    """One line a taper: MPJPE / Accel at each step."""

    def relative(points: np.ndarray) -> np.ndarray:
        return points - points[:, list(root)].mean(axis=1, keepdims=True)

    lines = []
    for name in TAPERS:
        cells = []
        for step in STEPS:
            if step > smoother.window // 2:
                continue
            taper = None if name == "uniform" else window_taper(smoother.window, name)
            smoother.network = replace(smoother.network, taper=taper)
            found = pooled([scores(relative(smoother(x, step=step)), relative(y), fps) for x, y, fps in items])
            cells.append(f"{found['mpjpe']:.2f} / {found['accel']:.3f}")
        lines.append(" | ".join([f"| {name}", *cells]) + " |")
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="weights that come along, a folder or a file")
    parser.add_argument("--window", type=int, help="W, where the checkpoint leaves it open")
    parser.add_argument("--data", type=Path, default=Path("data/poses"), help="folder of the poses")
    parser.add_argument("--dataset", default="uiprmd")
    parser.add_argument("--estimator", default="kinect")
    parser.add_argument("--people", default="", help="numbers of people, with commas")
    args = parser.parse_args(argv)
    people = {int(number) for number in args.people.split(",") if number.strip().isdecimal()}
    smoother = Smoother.from_checkpoint(args.checkpoint, window=args.window)
    items, root = sequences(args.data, args.dataset, args.estimator, people)
    print(f"{len(items)} sequences, {sum(len(x) for x, _, _ in items)} frames; MPJPE / Accel, step by step\n")
    steps = [str(step) for step in STEPS if step <= smoother.window // 2]
    print(" | ".join(["| taper", *steps]) + " |\n" + "|---" * (len(steps) + 1) + "|")
    print("\n".join(table(smoother, items, root)))
    return 0


if __name__ == "__main__":
    sys.exit(run_main(main))
