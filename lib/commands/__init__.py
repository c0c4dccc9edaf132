"""The command line: `smoothnet COMMAND ...` once installed, one script for each command in a checkout."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from .arguments import run_main

COMMANDS = {  # name -> module of this package, what it does
    "train": ("train", "train on pose files"),
    "eval": ("evaluate", "evaluate a checkpoint against ground truth"),
    "smooth": ("smooth", "smooth your own pose files or a live stream"),
    "visualize": ("visualize", "draw poses before and after"),
    "export": ("export", "write a checkpoint as an ONNX model"),
}
USAGE = "usage: smoothnet COMMAND [ARGUMENT ...]\n\n{}\n\n`smoothnet COMMAND --help` lists the arguments."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the first word names with the rest of the words; returns the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    usage = USAGE.format("\n".join(f"  {name:10} {text}" for name, (_, text) in COMMANDS.items()))
    if argv and argv[0] in ("-h", "--help"):
        print(usage)
        return 0
    if not argv or argv[0] not in COMMANDS:
        print(f"error: unknown command {argv[0]!r}\n\n{usage}" if argv else usage, file=sys.stderr)
        return 2
    return run(argv[0], argv[1:])


def run(command: str, argv: Sequence[str] | None = None) -> int:
    """Run one command; argv None: the words after the script's name. Returns the exit status."""
    module = importlib.import_module(f".{COMMANDS[command][0]}", __name__)
    return run_main(module.main, argv)
