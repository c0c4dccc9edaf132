# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Turn a training checkpoint into one to share: weights and settings alone.

python data/publish_checkpoint.py results/RUN/epoch_2.pth.tar -o checkpoint_32.safetensors [--taper hann --step 8]

The ending of -o says how: .safetensors, which needs no torch to be read, or .pth.tar. The weights that come along lie
in lib/weights/NAME/checkpoint_<window>.safetensors.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a script, only this file's own folder is on the path

from lib.commands.arguments import Parser, number, run_main  # noqa: E402
from lib.config import NOT_NEGATIVE  # noqa: E402
from lib.models.bank import window_overlap  # noqa: E402
from lib.models.checkpoints import load_model, publishable, read_checkpoint, save_checkpoint  # noqa: E402
from lib.models.kinds import window_of  # noqa: E402
from lib.models.plain import named_in  # noqa: E402
from lib.utils.errors import SmoothNetError  # noqa: E402


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="as training wrote it")
    parser.add_argument("-o", "--output", required=True, help="file to write: .safetensors or .pth.tar")
    parser.add_argument("--onnx", help="also write this .onnx file (needs the package onnx)")
    sigma = number(0.0, NOT_NEGATIVE)
    parser.add_argument("--sigma", type=sigma, default=0.0, help="fold a Gaussian of so many frames into the decoder")
    parser.add_argument("--taper", help="of a SmoothNet's windows in the mean: uniform, triangle, hann, late-hann")
    parser.add_argument("--step", type=int, help="frames between its windows")
    args = parser.parse_args(argv)
    output = Path(args.output)
    if output.exists() and Path(args.checkpoint).exists() and output.samefile(args.checkpoint):
        raise SmoothNetError(f"{output} is the checkpoint itself; name another file with -o")
    model, _ = load_model(args.checkpoint)  # refuses what is no network of ours
    content = publishable(read_checkpoint(args.checkpoint), args.sigma)
    overlap = {key: value for key, value in (("taper", args.taper), ("step", args.step)) if value is not None}
    content["model"] = {"name": named_in(content), **content.get("model", {}), **overlap}
    window_overlap(content, window_of(model))
    save_checkpoint(output, content)
    print(f"{output}: {output.stat().st_size / 1024:.0f} KiB")
    if args.onnx:
        from lib.models.export import export_checkpoint

        export_checkpoint(output, args.onnx)
        print(f"{args.onnx}: {Path(args.onnx).stat().st_size / 1024:.0f} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(run_main(main))
