# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Smooth your own poses: `python smooth_smoothnet.py INPUT [INPUT ...] -o OUT`; or live, `- --stream`.

The output has the form of the input, with only the coordinates changed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..utils.processors import processors
from .arguments import make_parser, smoothing_options

if TYPE_CHECKING:
    from ..inference.methods import Smoothing


_MOST_THREADS = 8
_OF_FILES = ("plot", "derivatives", "uncertainty", "report", "fill", "dims", "input_format")


def main(argv: Sequence[str] | None = None) -> int:
    parser = make_parser("smooth", __doc__)
    args = parser.parse_args(argv)

    from tqdm import tqdm

    from ..inference.files import output_paths, smooth_files
    from ..inference.methods import Smoothing

    options = replace(smoothing_options(args), threads=threads_for(min(args.jobs, len(args.inputs))))
    if args.stream or args.inputs == ["-"]:
        if not args.stream or args.inputs != ["-"] or args.output:
            parser.error("a stream is `- --stream`, from standard input to standard output, without -o")
        for name in _OF_FILES:
            if getattr(args, name) not in (None, False):
                parser.error(f"--{name} is for files and does not go with --stream")
        if args.jobs != 1:
            parser.error("--jobs is for files and does not go with --stream")
        return _stream(Smoothing(options))
    if not args.output:
        parser.error("name the output with -o OUT")

    inputs = [Path(name) for name in args.inputs]
    output_paths(
        inputs, args.output, args.plot, args.force, args.derivatives, args.report, args.uncertainty
    )  # a wrong path shows before the network is loaded
    # disable=None: no bar where nobody would see it move; delay: none for what is done at once
    with tqdm(desc="smoothing", unit=" frames", disable=None, delay=2, leave=False) as bar:

        def progress(done: int, total: int) -> None:
            if bar.disable:
                return
            bar.total = total
            bar.update(done - bar.n)
            if done == total:  # what long files still need takes seconds
                bar.set_description("writing", refresh=bar.format_dict["elapsed"] > bar.delay)
            elif bar.desc.startswith("writing"):
                bar.set_description("smoothing", refresh=False)

        smoothing = Smoothing(options, progress)
        finished = smooth_files(
            inputs,
            args.output,
            smoothing,
            plot=args.plot,
            force=args.force,
            derivatives=args.derivatives,
            uncertainty=args.uncertainty,
            report=args.report,
            jobs=args.jobs,
        )
    for done in finished:
        print(done.text())
    return 0


def threads_for(jobs: int) -> int:
    """Threads of each of so many jobs: what OMP_NUM_THREADS says, else the processors they share."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdecimal() and int(said):
        return min(int(said), _MOST_THREADS)
    return max(1, min(processors() // jobs, _MOST_THREADS))


def _stream(smoothing: Smoothing) -> int:
    from ..inference.lines import smooth_lines

    lines = getattr(sys.stdin, "buffer", sys.stdin)  # bytes, so that a line that is not UTF-8 can be named
    options = smoothing.options
    for line in smooth_lines(lines, smoothing.stream(), options.min_score, options.layout):
        print(line, flush=True)
    return 0
