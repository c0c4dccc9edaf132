"""Smooth your own poses: `python smooth_smoothnet.py INPUT [INPUT ...] -o OUT`; or live, `- --stream`.

The output has the form of the input, with only the coordinates changed."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .arguments import add_smoothing_arguments, program, smoothing_options


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
    add(
        "--plot",
        action="store_true",
        help="also write OUT.png: the joints that changed most, before and after",
    )
    add("--force", action="store_true", help="replace existing outputs (never an input)")
    add("--stream", action="store_true", help="JSON lines from standard input to standard output as they come")
    add("--formats", action=_Formats, nargs=0, help="list the formats and stop")
    add_smoothing_arguments(parser, "smooth")
    args = parser.parse_args(argv)

    from ..inference import Smoother
    from ..inference.files import output_paths, smooth_files

    options = smoothing_options(args)
    if args.stream or args.inputs == ["-"]:
        if not args.stream or args.inputs != ["-"] or args.output:
            parser.error("a stream is `- --stream`, from standard input to standard output, without -o")
        smoother = Smoother.from_checkpoint(options.checkpoint, options.device, options.window)
        return _stream(smoother, options.delay, options.min_score, options.max_gap)
    if not args.output:
        parser.error("name the output with -o OUT")

    inputs = [Path(name) for name in args.inputs]
    output_paths(inputs, args.output, args.plot, args.force)  # a wrong path shows before the network is loaded
    smoother = Smoother.from_checkpoint(options.checkpoint, options.device, options.window)
    names = ("dims", "fps", "min_score", "max_gap", "fill", "step", "delay")
    chosen = {name: getattr(options, name) for name in names}
    chosen |= {"format": options.input_format, "plot": args.plot, "force": args.force}
    for done in smooth_files(inputs, args.output, smoother, **chosen):
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
