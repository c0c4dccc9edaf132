# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The command line: `smoothnet COMMAND ...` once installed, one script for each command in a checkout."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from .. import __version__
from .arguments import PACKAGE, run_main

COMMANDS = {  # name -> module of this package, what it does
    "train": ("train", "train on pose files"),
    "eval": ("evaluate", "evaluate a checkpoint against ground truth"),
    "smooth": ("smooth", "smooth your own pose files or a live stream"),
    "inspect": ("inspect", "print what is understood of pose files"),
    "convert": ("convert", "write poses in another form"),
    "corpus": ("corpus", "smooth hundreds of thousands of files, on one machine or many"),
    "visualize": ("visualize", "draw poses before and after"),
    "export": ("export", "write a checkpoint as an ONNX model"),
    "page": ("page", "write the page that smooths in the browser"),
}
NAME = "python -m lib" if PACKAGE == "lib" else PACKAGE
USAGE = f"usage: {NAME} COMMAND [ARGUMENT ...] | --version\n\n{{}}\n\n`{NAME} COMMAND --help` lists the arguments."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the first word names with the rest of the words; returns the exit status."""
    return run_main(_dispatch, sys.argv[1:] if argv is None else argv)


def run(command: str, argv: Sequence[str] | None = None) -> int:
    """Run one command; argv None: the words after the script's name. Returns the exit status."""
    return main([command, *(sys.argv[1:] if argv is None else argv)])


def _dispatch(argv: Sequence[str] | None) -> int:
    first, *rest = argv or [""]
    usage = USAGE.format("\n".join(f"  {name:10} {text}" for name, (_, text) in COMMANDS.items()))
    if first == "smooth" or (first == "visualize" and "OMP_NUM_THREADS" not in os.environ):
        # Their matrices are small: several threads take two to three times the CPU time and no less of anything else.
        # What is long is cut in pieces for threads instead, see smooth.threads_for.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is imported
    if first in COMMANDS:
        return importlib.import_module(f".{COMMANDS[first][0]}", __name__).main(rest)
    if first in ("-h", "--help", "--version"):
        print(f"{PACKAGE} {__version__}" if first == "--version" else usage)
        return 0
    print(f"error: unknown command {first!r}\n\n{usage}" if first else usage, file=sys.stderr)
    return 2
