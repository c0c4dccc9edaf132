# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""From the authors' download of UI-PRMD to data/poses/uiprmd_kinect_3D; see data/README.md."""

from __future__ import annotations

import argparse
import logging
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from data.uiprmd import convert, write_pairs  # noqa: E402
from lib.commands.arguments import Parser, run_main  # noqa: E402
from lib.dataset.poses import refuse_existing  # noqa: E402


def _people(text: str) -> list[int]:
    """`1-8` or `1,2,9` -> numbers."""
    numbers: list[int] = []
    for part in text.split(",") if re.fullmatch(r"\d{1,3}(-\d{1,3})?(,\d{1,3}(-\d{1,3})?)*", text) else ():
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    if not numbers:
        raise argparse.ArgumentTypeError(f"{text!r} names no people; write 1-8 or 1,2,9")
    return numbers


def main(argv: list[str] | None = None) -> int:
    parser = Parser(description=__doc__)
    parser.add_argument("raw", help="folder that holds 'Segmented Movements' (and 'Incorrect Segmented Movements')")
    parser.add_argument("--output", default=str(ROOT / "data/poses"), help="folder of the pose files (%(default)s)")
    parser.add_argument("--train_people", type=_people, default="1-8", help="people to train on (%(default)s)")
    parser.add_argument("--test_people", type=_people, default="9", help="people to test on (%(default)s)")
    parser.add_argument(
        "--fit",
        action="store_true",
        help="fit the weights of the markers on the people to train on, instead of taking the fixed ones",
    )
    parser.add_argument("--force", action="store_true", help="replace data that are there")
    args = parser.parse_args(argv)
    if not args.force:
        refuse_existing(args.output, "uiprmd", "kinect", "3D")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    pairs = convert(args.raw, args.train_people, args.test_people, args.fit)
    paths = write_pairs(pairs, args.output)
    for name, reason in pairs.dropped.items():
        print(f"dropped {name}: {reason}")
    for phase, sequences in pairs.detected.items():
        print(f"{phase}: {len(sequences)} sequences, {sum(map(len, sequences))} frames")
    print("\n".join(f"wrote {path}" for path in paths))
    return 0


if __name__ == "__main__":
    sys.exit(run_main(main))
