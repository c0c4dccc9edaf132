# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Write a generated demo dataset in the official layout: people in motion, and an estimator's errors.

    python data/make_demo.py --output data/poses --train 60 --test 12 --frames 400 --seed 0

The same seed writes the same bytes. Afterwards: --dataset_name demo --estimator synthetic
--body_representation 3D.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a script, only this file's own folder is on the path

from data.demo import FPS, write_demo  # noqa: E402
from lib.commands.arguments import Parser, run_main  # noqa: E402


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add(
        "--output",
        type=Path,
        default=ROOT / "data" / "poses",
        help="folder of the datasets (default: data/poses)",
    )
    add("--train", type=int, default=60, help="training sequences (default: 60)")
    add("--test", type=int, default=12, help="test sequences (default: 12)")
    add("--frames", type=int, default=400, help="frames per sequence (default: 400)")
    add("--fps", type=float, default=FPS, help=f"frames per second (default: {FPS:g})")
    add("--seed", type=int, default=0, help="random seed (default: 0)")
    add("--body_representation", choices=("3D", "2D"), default="3D", help="default: 3D")
    add("--force", action="store_true", help="replace data that are there")
    args = parser.parse_args(argv)
    written = write_demo(
        args.output, args.train, args.test, args.frames, args.seed, args.fps, args.body_representation, args.force
    )
    print(
        f"{args.train} training and {args.test} test sequences of {args.frames} frames "
        f"({args.frames / args.fps:.1f} s at {args.fps:g} frames/s), seed {args.seed}:"
    )
    for path in written:
        print(f"  {path} ({path.stat().st_size / 2**20:.1f} MiB)")
    return 0


if __name__ == "__main__":
    sys.exit(run_main(main))
