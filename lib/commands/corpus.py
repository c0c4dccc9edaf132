# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Smooth a corpus, on one machine or many: `python corpus_smoothnet.py INPUT [INPUT ...] -o OUT`.

An INPUT is a file, a folder, a pattern in quotes ("data/**/*.npz"), a list (.txt, .parquet), a shard of sequences
(.parquet, .tar), or a URL of any of them (s3://bucket/poses). OUT mirrors their tree. Start it again to go on where it
was. Exit status 0: all done; 3: some failed; 2: it could not go on.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .arguments import make_parser, smoothing_options

if TYPE_CHECKING:
    from ..corpus.run import Progress

SOME_FAILED = 3
SECONDS = {True: 0.5, False: 30.0}  # between progress lines, on a terminal and in a log


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser("corpus", __doc__ or "").parse_args(argv)

    from ..corpus.run import run_corpus
    from ..utils.files import printable

    live = sys.stderr.isatty()
    last = time.monotonic() if not live else 0.0

    def show(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS[live] or (live and progress.seen == progress.files):
            last = time.monotonic()
            line = progress.text()
            print(f"\r{line:<119}" if live else line, end="" if live else "\n", file=sys.stderr, flush=True)

    try:
        summary = run_corpus(
            args.inputs,
            args.output,
            smoothing_options(args),
            manifest=args.manifest,
            engine=args.engine,
            address=args.address,
            jobs=args.jobs,
            retry=args.retry,
            force=args.force,
            progress=show,
        )
    finally:
        if live and last:
            print(file=sys.stderr)
    now = summary.progress
    print(f"{now.text()}; {now.skipped} were done or had failed before" if now.files else "nothing to do")
    print(f"{summary.done} done, {summary.failed} failed, {summary.todo} not reached")
    if summary.bad:
        print(f"{summary.bad} shards have sequences that could not be smoothed and are as they were")
    if summary.failed or summary.bad:
        print("the report says why; --retry tries them again")
    print(f"manifest {printable(summary.manifest)}, report {printable(summary.report or '')}")
    return 0 if summary.complete else SOME_FAILED
