"""Smooth your own poses: `python smooth_smoothnet.py INPUT [INPUT ...] -o OUT`; or live, `- --stream`.

The output has the form of the input, with only the coordinates changed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from .arguments import make_parser, smoothing_options


def main(argv: Sequence[str] | None = None) -> int:
    parser = make_parser("smooth", __doc__)
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

    for line in smooth_lines(sys.stdin, smoother, delay, min_score, max_gap):
        print(line, flush=True)
    return 0
