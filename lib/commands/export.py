"""Write a checkpoint as an ONNX model: `python export_smoothnet.py --checkpoint PATH -o model.onnx`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .arguments import add_arguments, program

TOLERANCE = 1e-5


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=program("export"), description=__doc__, allow_abbrev=False)
    add_arguments(parser, "x")
    parser.add_argument("-o", "--output", required=True, metavar="ONNX", help="the .onnx file to write")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="run both with random windows and write only what agrees to 1e-5 (needs onnxruntime)",
    )
    args = parser.parse_args(argv)

    from ..models.export import export_checkpoint
    from ..weights import find_weights

    checkpoint = find_weights(args.checkpoint, args.slide_window_size)
    metadata = export_checkpoint(checkpoint, args.output, args.slide_window_size, TOLERANCE if args.verify else None)
    difference = metadata.pop("difference", None)
    print(f"{args.output}: " + ", ".join(f"{key} {value}" for key, value in metadata.items()))
    if difference is not None:
        print(f"largest difference to torch, relative to the largest output: {difference:.1e}")
    return 0
