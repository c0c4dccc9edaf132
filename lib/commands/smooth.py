"""Smooth your own poses: `python smooth_smoothnet.py INPUT [INPUT ...] -o OUT`; or live, `- --stream`.

The output has the form of the input, with only the coordinates changed."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .arguments import program


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=program("smooth"), description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="file of poses, folder of OpenPose frames, or - with --stream",
    )
    add("-o", "--output", metavar="OUT", help="output file; a folder for several inputs")
    add("--checkpoint", metavar="PATH", help=".pth.tar or .onnx; without it the weights that come along")
    add("--window", type=int, metavar="W", help="frames the network sees, chooses among those weights")
    add("--device", default="cpu", help="cpu (default) | cuda | cuda:0 | sdaa | auto")
    add("--fps", type=float, help="frames a second, if the file does not say (for the report)")
    add("--min_score", type=float, metavar="S", help="points with a lower score count as missing")
    add(
        "--max_gap",
        type=int,
        metavar="N",
        help="longest gap that is bridged, in frames; longer ones split the track",
    )
    add("--step", type=int, default=1, help="frames between windows (default 1)")
    add(
        "--delay",
        type=int,
        metavar="D",
        help="smooth as a live stream would that gives a frame D frames later",
    )
    add("--fill", action="store_true", help="also write points in bridged gaps")
    add(
        "--plot",
        action="store_true",
        help="also write OUT.png: the joints that changed most, before and after",
    )
    add(
        "--format",
        metavar="NAME",
        help="format of the input, instead of telling it by content; see --formats",
    )
    add("--dims", type=int, choices=(1, 2, 3), help="coordinates a joint, for files that do not say")
    add("--force", action="store_true", help="replace existing outputs (never an input)")
    add("--stream", action="store_true", help="JSON lines from standard input to standard output as they come")
    add("--formats", action=_Formats, nargs=0, help="list the formats and stop")
    args = parser.parse_args(argv)

    from ..inference import Smoother
    from ..inference.files import output_paths, smooth_files
    from ..inference.overlap import MAX_GAP
    from ..utils.errors import SmoothNetError

    max_gap = MAX_GAP if args.max_gap is None else args.max_gap
    if args.stream or args.inputs == ["-"]:
        if not args.stream or args.inputs != ["-"] or args.output:
            parser.error("a stream is `- --stream`, from standard input to standard output, without -o")
        smoother = Smoother.from_checkpoint(args.checkpoint, args.device, args.window)
        return _stream(smoother, args.delay, args.min_score, max_gap)
    if not args.output:
        parser.error("name the output with -o OUT")

    inputs = [Path(name) for name in args.inputs]
    output_paths(inputs, args.output, args.plot, args.force)  # a wrong path shows before the network is loaded
    if args.step < 1:
        raise SmoothNetError(f"--step must be at least 1 frame, not {args.step}")
    smoother = Smoother.from_checkpoint(args.checkpoint, args.device, args.window)
    options = ("format", "dims", "fps", "min_score", "fill", "step", "delay", "plot", "force")
    chosen = {name: getattr(args, name) for name in options}
    for done in smooth_files(inputs, args.output, smoother, max_gap=max_gap, **chosen):
        print(done.text())
    return 0


def _stream(smoother, delay: int | None, min_score: float | None, max_gap: int) -> int:
    from ..inference.lines import smooth_lines

    try:
        for line in smooth_lines(sys.stdin, smoother, delay, min_score, max_gap):
            print(line, flush=True)
    except BrokenPipeError:  # whoever reads has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


class _Formats(argparse.Action):
    def __call__(self, parser, *_) -> None:
        from ..formats import FORMATS

        for row in FORMATS.values():
            print(f"{row.name:16} {row.text}")
        parser.exit()
