# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Write a checkpoint as an ONNX model: `python export_smoothnet.py --checkpoint PATH -o model.onnx`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .arguments import make_parser

TOLERANCE = 1e-5


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser("export", __doc__).parse_args(argv)

    from ..models.export import export_checkpoint
    from ..utils.errors import SmoothNetError
    from ..weights import find_weights

    checkpoint = find_weights(args.checkpoint, args.slide_window_size)
    if Path(args.output).exists() and checkpoint.exists() and Path(args.output).samefile(checkpoint):
        raise SmoothNetError(f"{args.output} is the checkpoint itself; name another file with -o")
    tolerance = TOLERANCE if args.verify else None
    metadata = export_checkpoint(checkpoint, args.output, args.slide_window_size, tolerance, args.force)
    difference = metadata.pop("difference", None)
    print(f"{args.output}: " + ", ".join(f"{key} {value}" for key, value in metadata.items()))
    if difference is not None:
        print(f"largest difference to torch, relative to the largest output: {difference:.1e}")
    return 0
